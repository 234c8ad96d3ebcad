"""Nightly: check the data, retrain, promote what the gate let pass, and predict. Every step is a `hotloop` command; its exit code decides."""

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

MODEL = "purchase-intent"
DATA = "/data"

with DAG("hotloop_nightly", start_date=datetime(2026, 1, 1), schedule="30 4 * * *", catchup=False) as dag:
    # Exit code 1 where today's rows have drifted from those of the training, or lost a column: nothing is trained on them.
    check = BashOperator(
        task_id="check_data",
        bash_command=f"hotloop monitor check --reference {DATA}/reference.parquet --current {DATA}/sessions.parquet",
    )
    # Waits for the gate. A candidate that it refuses ends this with exit code 7, and the live version stays. The last line is the version.
    retrain = BashOperator(
        task_id="retrain",
        bash_command=f"hotloop --json retrain {MODEL} --hold --reason nightly > run.json && "
        "python3 -c 'import json; print(json.load(open(\"run.json\"))[\"version\"])'",
    )
    # Waits until the rollout that model.yaml describes has begun.
    promote = BashOperator(
        task_id="promote",
        bash_command=f"hotloop promote {MODEL} {{{{ ti.xcom_pull(task_ids='retrain') }}}} --reason nightly",
    )
    # By whichever version is live then; the key makes a repeated task the same run.
    predict = BashOperator(
        task_id="predict",
        bash_command=f"hotloop batch run {MODEL} --from {DATA}/sessions.parquet --to {DATA}/scores/{{{{ ds }}}} --key {{{{ ds }}}}",
        trigger_rule="all_done",
    )
    check >> retrain >> promote >> predict
