# SPDX-License-Identifier: MIT
"""OpenHands by its SDK, with a shell as its only tool. Runs in the root that `install` makes; prints the final answer.

usage: run.py TASK [SERVER]       SERVER: the agent server that is to do the work, http://HOST:PORT
"""
import sys

from openhands.sdk import LLM, Agent, Conversation, Tool, Workspace
from openhands.sdk.conversation.response_utils import get_agent_final_response
from openhands.tools.terminal import TerminalTool

agent = Agent(llm=LLM(model="openai/gpt-4o", api_key="none"), tools=[Tool(name=TerminalTool.name)])
workspace = Workspace(host=sys.argv[2], working_dir="/tmp") if len(sys.argv) > 2 else "/tmp"
conversation = Conversation(agent=agent, workspace=workspace)
conversation.send_message(sys.argv[1])
conversation.run()
print("answer:", get_agent_final_response(conversation.state.events))
conversation.close()
