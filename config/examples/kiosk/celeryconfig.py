# Settings of the kiosk's Celery app, as it was before migration.md.
import os

broker_url = os.environ["CONEY_REDIS_AUTH_URL"]
result_backend = os.environ["CONEY_REDIS_AUTH_URL"]
task_routes = {}
beat_schedule = {
    "stock": {"task": "kiosk.stock", "schedule": 4.0},
    "rates": {"task": "kiosk.rates", "schedule": 4.0},
}
