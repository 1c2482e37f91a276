"""Tools that Google runs itself, such as search and code execution.

Whatever field asks for one (``web_search_options``, ``google.tools``, a hosted tool of the
responses endpoint), it is kept on the draft until :func:`gateway.translate.toolset.close_tools`
puts all tools of the line together.
"""

from gateway.translate.draft import Draft
from gateway.translate.refusal import invalid_value
from gateway.translate.shapes import Json


def use(draft: Draft, kind: str, value: Json, param: str) -> None:
    """Ask for the tool that Gemini calls ``kind``, as in ``googleSearch``, with its settings.

    ``param`` is the whole path of the field that asks: later complaints name it. Errors: Refused
    when the line asks for the tool twice.
    """
    if kind in draft.google_tools:
        invalid_value(f"'{draft.google_tools[kind][1]}' already asks for this tool.", param)
    draft.google_tools[kind] = (value, param)
