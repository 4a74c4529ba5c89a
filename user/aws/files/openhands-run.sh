#!/bin/bash
# Starts OpenHands. Its keys go from systemd's credentials to the container by environment, never by argument; the
# model's key is not among them: openhands-settings hands that over.
# The container shares Docker's own network namespace: a bridge's addresses would be more destinations for the guard to
# let through.
set -euo pipefail
OH_SESSION_API_KEYS_0=$(cat "$CREDENTIALS_DIRECTORY/session-key")
# With it OpenHands encrypts what it stores: it lives and moves with that.
OH_SECRET_KEY=$(cat "$CREDENTIALS_DIRECTORY/secret-key")
export OH_SESSION_API_KEYS_0 OH_SECRET_KEY
home=/home/openhands/.openhands
agent_docker="@AGENT_DOCKER@"
more=()
if [ "$agent_docker" = yes ]; then
	socket=${DOCKER_HOST#unix://}
	more=(--volume "$socket:/var/run/docker.sock" --group-add "$(stat -c %g "$socket")")
fi
# Beside it, until it has told OpenHands its settings; it ends OpenHands if that fails.
/usr/local/lib/ohguard/openhands-settings &
# The image with a web page takes its port from PORT, the one without from --port; each ignores the other.
exec docker run --rm --name openhands --pull never --network host --env PORT=3000 \
	--env OH_SESSION_API_KEYS_0 --env OH_SECRET_KEY \
	--env "OH_PERSISTENCE_DIR=$home" --env "OH_CONVERSATIONS_PATH=$home/conversations" \
	--env "OH_BASH_EVENTS_DIR=$home/bash_events" --env OH_WORKSPACE_PATH=/projects \
	--env OH_TRUST_FORWARDED_HEADERS=true --env OH_ENABLE_VSCODE=false --env LITELLM_LOCAL_MODEL_COST_MAP=True \
	--volume "/var/lib/openhands-state/home:$home" --volume /var/lib/openhands-state/projects:/projects \
	"${more[@]}" "ghcr.io/openhands/@OPENHANDS@" --host 0.0.0.0 --port 3000
