"""Runs a job or pipeline for each logical date of Airflow, which then owns catch-up and retries.

The run's id is made of the date, so a task that is tried again goes on with the same run: the first
`reprise run` makes it, every later attempt is `reprise resume`.
"""

import pendulum
from airflow import DAG
from airflow.operators.bash import BashOperator

PROJECT = "/srv/project"
RUN = "{{ logical_date.in_timezone('UTC').strftime('%Y%m%dT%H%M%SZ') }}-nightly"

with DAG(
    dag_id="reprise_nightly",
    schedule="30 2 * * *",
    start_date=pendulum.datetime(2026, 1, 1, tz="Europe/Berlin"),
    catchup=False,
    max_active_runs=1,
) as dag:
    BashOperator(
        task_id="nightly",
        cwd=PROJECT,
        bash_command=(
            f"if [ -e runs/{RUN} ]; then exec npx reprise resume {RUN}; fi; "
            f"exec npx reprise run nightly.yaml --run-id {RUN} --date {{{{ logical_date.isoformat() }}}}"
        ),
        retries=3,
        retry_delay=pendulum.duration(minutes=1),
        retry_exponential_backoff=True,
        append_env=True,
    )
