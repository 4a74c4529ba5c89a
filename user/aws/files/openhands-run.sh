#!/bin/bash
# Starts OpenHands; the key goes from systemd's credential to the container by environment, never by argument.
# It and the sandboxes that it makes share Docker's own network namespace: they talk over loopback, where a bridge's
# addresses would be more destinations for the guard to let through.
set -euo pipefail
LLM_API_KEY=$(cat "$CREDENTIALS_DIRECTORY/llm-api-key")
export LLM_API_KEY
exec docker run --rm --name openhands --pull never --network host \
	--env LLM_API_KEY \
	--env SANDBOX_RUNTIME_CONTAINER_IMAGE=docker.openhands.dev/openhands/runtime:@OPENHANDS@-nikolaik \
	--env SANDBOX_USE_HOST_NETWORK=true \
	--env SANDBOX_LOCAL_RUNTIME_URL=http://localhost \
	--env LOG_ALL_EVENTS=true \
	--volume "${DOCKER_HOST#unix://}:/var/run/docker.sock" \
	--volume openhands-state:/.openhands \
	docker.openhands.dev/openhands/openhands:@OPENHANDS@
