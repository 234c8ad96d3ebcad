-- What `features` holds when it is not "rows" x "columns" of FP32: [{name, datatype, shape}], contents end to end in this
-- order, as the Open Inference Protocol has them raw. Empty for feature rows.
ALTER TABLE prediction ADD COLUMN input_spec jsonb NOT NULL DEFAULT '[]';
