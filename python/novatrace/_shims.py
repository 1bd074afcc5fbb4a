"""Coroutine and generator functions around those that are decorated: what calls them has to see
functions of the same kind, which only Python code can make. Imported when the first one is decorated."""

import functools
import inspect
import types


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
                sent = None
                try:
                    while True:
                        try:
                            item = await generator.asend(sent)
                        except StopAsyncIteration:
                            return
                        try:
                            sent = yield item
                        except GeneratorExit:
                            raise
                        except BaseException as error:
                            sent = yield await generator.athrow(error)
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
