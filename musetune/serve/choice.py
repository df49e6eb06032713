"""A list to choose from that is the browser's own: every keyboard, screen reader and phone knows how to use it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import gradio as gr

TEMPLATE = (
    '<div class="mt-choice"><label for="${list}">${label}</label>'
    '<select id="${list}">{{#each choices}}<option>{{this}}</option>{{/each}}</select></div>'
)
# What is chosen is set by hand: the template does not name it, so that a choice does not draw the list anew.
ON_LOAD = """
const select = () => element.querySelector('select');
const show = () => { select().value = props.value; };
show();
watch(['value', 'choices'], show);
element.addEventListener('change', () => { props.value = select().value; show(); trigger('change'); });
"""


def choice(label: str, choices: Sequence[str], value: str, elem_id: str, render: bool = True) -> gr.HTML:
    """A component whose value is one of ``choices``; `chosen` updates it.

    Args:
        label: what stands above it.
        choices: what can be chosen, plain text.
        value: what is chosen at first.
        elem_id: its id in the page.
        render: whether it stands here; else where its ``render`` is called.
    """
    return gr.HTML(
        value,
        label=label,
        choices=list(choices),
        list=f"{elem_id}-list",
        html_template=TEMPLATE,
        js_on_load=ON_LOAD,
        elem_id=elem_id,
        elem_classes="mt-choice-block",
        apply_default_css=False,
        render=render,
    )


def chosen(value: str, choices: Sequence[str]) -> Any:
    """An update of a `choice`: another value, and what can be chosen, the value too where it was not among it."""
    return gr.update(value=value, choices=list(dict.fromkeys([*choices, value])))
