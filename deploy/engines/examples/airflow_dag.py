"""Nightly: check the data, retrain, promote what the gate let pass, and predict. Every step is a `hotloop` command; its exit code decides."""

from datetime import datetime

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import DAG

MODEL = "purchase-intent"

with DAG("hotloop_nightly", start_date=datetime(2026, 1, 1), schedule="30 4 * * *", catchup=False) as dag:
    check = BashOperator(task_id="check_data", bash_command='hotloop sql -c "SELECT count(*) FROM outcomes"')
    # Waits for the gate; a refused version ends it with exit code 7, and the live version stays.
    retrain = BashOperator(task_id="retrain", bash_command=f"hotloop retrain {MODEL} --reason nightly")
    predict = BashOperator(
        task_id="predict",
        bash_command=f"hotloop batch run {MODEL} --from /data/sessions --to /data/scores/{{{{ ds }}}} --key {{{{ ds }}}}",
        trigger_rule="all_done",
    )
    check >> retrain >> predict
