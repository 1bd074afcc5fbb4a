"""Coroutine and generator functions around those that are decorated: what calls them has to see
functions of the same kind, which only Python code can make. Imported when the first one is decorated."""

import functools
import inspect
import types


def parameters(function):
    """What `function` calls its arguments: those that may be given by place, those that are given by name only, and
    what it calls the rest of both, `None` if there is none."""
    try:
        found = inspect.signature(function).parameters.values()
    except Exception:
        # It does not say, or not yet: annotations may name what there is not.
        code = getattr(function, "__code__", None)
        names = list(code.co_varnames[:code.co_argcount]) if code else []
        return names, [], [None, "kwargs"]
    by_place = [p.name for p in found if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    by_name = [p.name for p in found if p.kind is p.KEYWORD_ONLY]
    rest = [next((p.name for p in found if p.kind is kind), None)
            for kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)]
    return by_place, by_name, rest


def wrap(function, traced):
    """`function`, each call of which is a span of `traced` from its first step to its last."""
    if inspect.iscoroutinefunction(function):

        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with traced._span(args, kwargs):
                return await function(*args, **kwargs)

    elif inspect.isasyncgenfunction(function):

        @functools.wraps(function)
        async def wrapper(*args, **kwargs):
            with traced._span(args, kwargs):
                generator = function(*args, **kwargs)
                step = generator.asend(None)
                try:
                    while True:
                        try:
                            item = await step
                        except StopAsyncIteration:
                            return
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            step = generator.athrow(error)
                        else:
                            step = generator.asend(sent)
                finally:
                    await generator.aclose()

    else:

        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            with traced._span(args, kwargs):
                return (yield from function(*args, **kwargs))

        if function.__code__.co_flags & inspect.CO_ITERABLE_COROUTINE:
            # May be awaited.
            wrapper = types.coroutine(wrapper)

    return wrapper
