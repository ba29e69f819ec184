#!/usr/bin/env bash
# Starts the Cloud Run job every morning of the 1st to the 5th: the data arrives in these days, and a replay
# sends nothing twice.   PROJECT=my-project REGION=europe-west1 deploy/gcp/schedule.sh
set -euo pipefail
: "${PROJECT:?}" "${REGION:?}"
gcloud scheduler jobs create http risk-alerts-daily \
  --project "$PROJECT" --location "$REGION" \
  --schedule "0 6 1-5 * *" --time-zone Etc/UTC \
  --uri "https://run.googleapis.com/v2/projects/$PROJECT/locations/$REGION/jobs/risk-alerts:run" \
  --http-method POST --max-retry-attempts 0 \
  --oauth-service-account-email "risk-alerts-scheduler@$PROJECT.iam.gserviceaccount.com"
