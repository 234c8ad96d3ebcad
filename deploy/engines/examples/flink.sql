-- Flink to Kafka to Hotloop's request topic and back: exactly the path of a model with `kafka: {requests, replies}` in model.yaml.
CREATE TABLE sessions (session_id STRING, pages INT, seconds DOUBLE, at TIMESTAMP(3), WATERMARK FOR at AS at - INTERVAL '5' SECOND)
WITH ('connector' = 'kafka', 'topic' = 'sessions', 'properties.bootstrap.servers' = 'kafka:9092', 'format' = 'json', 'scan.startup.mode' = 'latest-offset');
CREATE TABLE requests (`key` STRING, model STRING, request ROW<pages INT, seconds DOUBLE>)
WITH ('connector' = 'kafka', 'topic' = 'rank-requests', 'properties.bootstrap.servers' = 'kafka:9092', 'key.format' = 'raw', 'key.fields' = 'key', 'value.format' = 'json');
INSERT INTO requests SELECT session_id, 'purchase-intent', ROW(pages, seconds) FROM sessions;
