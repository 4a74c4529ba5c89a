# SPDX-License-Identifier: MIT
"""Real agents beside the guard with its default configuration and their model's name: each reaches its final answer,
and is refused nothing that docs/agents.md does not tell."""
import pytest

from agent import AGENTS, documented
from guard import serving


def refusals(guard):
    return {(e["reason"], e["name"] or e["destination"]) for e in guard.events()}


def told(agent):
    return {("dns-name-not-allowed", name) for name in documented(agent)[1]}


@pytest.mark.parametrize("name", AGENTS)
def test_agent_reaches_its_answer(guard, model, installed, name):
    agent = installed(name)
    guard.load(allow=(agent.api,))
    with serving(guard):
        guard.events()
        agent.run(guard.lab)
        assert refusals(guard) <= told(agent)


@pytest.mark.parametrize("name", AGENTS)
def test_documented_version_is_the_one_that_is_tried(name):
    agent = AGENTS[name]()
    assert documented(agent)[0] == agent.version
