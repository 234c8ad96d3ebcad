-- Why a version failed on a node, as a word that programs can read; `detail` is for people.
ALTER TABLE node_version ADD COLUMN reason text NOT NULL DEFAULT '';
