#!/bin/bash
# Starts OpenHands; the key goes from systemd's credential to the container by environment, never by argument.
set -euo pipefail
LLM_API_KEY=$(cat "$CREDENTIALS_DIRECTORY/llm-api-key")
export LLM_API_KEY
exec docker run --rm --name openhands --pull never \
	--env LLM_API_KEY \
	--env SANDBOX_RUNTIME_CONTAINER_IMAGE=docker.openhands.dev/openhands/runtime:@OPENHANDS@-nikolaik \
	--env LOG_ALL_EVENTS=true \
	--volume "${DOCKER_HOST#unix://}:/var/run/docker.sock" \
	--volume openhands-state:/.openhands \
	--publish 3000:3000 \
	--add-host host.docker.internal:host-gateway \
	docker.openhands.dev/openhands/openhands:@OPENHANDS@
