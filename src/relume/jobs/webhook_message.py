"""The message about an ended job, for clients that gave a `webhook_url`."""

from __future__ import annotations

import json
from datetime import datetime
from typing import Any
from uuid import uuid4

from relume.jobs.models import Job, JobStatus, WebhookDelivery


def for_end(job: Job, ended: dict[str, Any], now: datetime) -> WebhookDelivery | None:
    """The delivery to store with the job's end, or None where nobody asked for one."""
    if job.webhook_url is None:
        return None
    succeeded = ended["status"] is JobStatus.SUCCEEDED
    body = {
        "type": f"job.{ended['status']}",
        "timestamp": now.isoformat().replace("+00:00", "Z"),
        "data": {
            "job_id": str(job.id),
            "status": "succeeded" if succeeded else "failed",
            "error": ended.get("error_detail"),
            "code": ended.get("error_code"),
        },
    }
    return WebhookDelivery(
        id=uuid4(),
        job_id=job.id,
        url=job.webhook_url,
        body=json.dumps(body, separators=(",", ":")),
        created_at=now,
        next_try_at=now,
    )
