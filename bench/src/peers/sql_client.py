"""Asks queries by psycopg. Usage: sql_client.py URL QUERIES.json ; prints one line of JSON for each query: its rows as texts and numbers."""

import json
import sys
from datetime import date, datetime
from decimal import Decimal

import psycopg

url, path = sys.argv[1:3]


def plain(value):
    if isinstance(value, (datetime, date)):
        return value.isoformat(sep=" ") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, Decimal):
        return float(value)
    if isinstance(value, list):
        return [plain(one) for one in value]
    return value


with psycopg.connect(url, autocommit=True) as connection:
    for query in json.load(open(path)):
        rows = connection.execute(query).fetchall()
        print(json.dumps([[plain(value) for value in row] for row in rows]))
