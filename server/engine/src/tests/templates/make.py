"""Makes `expected.json`: what Hugging Face's transformers make of this folder's chat templates, which
`../templates.rs` compares with ours.

The templates are ours. Each is written in the way of published ones and has their constructs:
`dated_header` as Llama 3, `alternating` as Mistral, `default_scene` as Qwen2.5, `thoughts` as Qwen3,
`marked_replies` as SmolLM3, `no_scene` as Gemma 2, `scene_in_turn` as Gemma 3; `json` has filters, and
its keys are in the order of the alphabet, since our interpreter sorts those of a literal.

    pip install transformers jinja2
    python make.py
"""

import json
from pathlib import Path

import jinja2
from transformers.utils.chat_template_utils import render_jinja_template

HERE = Path(__file__).parent
SYSTEM = {"role": "system", "content": " You are from Norway.\n/no_think "}
TALK = [
    {"role": "user", "content": " How important is <work> & 'rest'?\n"},
    {"role": "assistant", "content": "<think>\nHm.\n</think>\n\nRather important. "},
    {"role": "user", "content": "Why?"},
]
CONVERSATIONS = {
    "system, user": [SYSTEM, TALK[0]],
    "user": [TALK[0]],
    "system, user, assistant, user": [SYSTEM, *TALK],
    "user, assistant": TALK[:2],
}


def rendered(template, messages, opens):
    try:
        texts, _ = render_jinja_template(
            [messages], chat_template=template, add_generation_prompt=opens,
            bos_token="<s>", eos_token="</s>",
        )
    except jinja2.TemplateError as error:
        return {"refused": str(error)}
    return {"text": texts[0]}


def cases():
    for path in sorted(HERE.glob("*.jinja")):
        template = path.read_text()
        for name, messages in CONVERSATIONS.items():
            for opens in (True, False):
                yield {
                    "template": path.name, "conversation": name, "messages": messages,
                    "add_generation_prompt": opens, **rendered(template, messages, opens),
                }


if __name__ == "__main__":
    text = json.dumps(list(cases()), indent=1, ensure_ascii=False)
    (HERE / "expected.json").write_text(text + "\n")
