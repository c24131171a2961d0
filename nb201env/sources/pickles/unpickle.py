"""Reading pickles without executing them.

Python's own unpickler calls what the file tells it to call. This one is a small interpreter of the
opcodes in which numbers are written: in the official files, and in data sets' files of images, some of
them by Python 2. It knows numbers, texts, bytes, lists, tuples, sets and dictionaries; the few classes
that such files name have inert stand-ins (`nb201env.sources.pickles.types`), and any other name, opcode or
construction is refused with a `SourceError` that says which. Memory stays bounded: `MOST_ITEMS` values
per architecture and beside all of them, `LONGEST_TEXT` and `LONGEST_BYTES` per value, and the limits of
`nb201env.sources.pickles.streams`, of which one is on the texts and byte strings kept at a time.

Most of an official file is long runs of "key, float". `nb201env.sources.pickles.stretches` reads those at
once; with ``fast=False`` every opcode is read on its own, and the result is the same.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Mapping
from pickletools import opcodes
from typing import Any

from nb201env.sources.errors import SourceError
from nb201env.sources.pickles import stretches
from nb201env.sources.pickles.memo import Forgotten, Memo
from nb201env.sources.pickles.streams import Stream
from nb201env.sources.pickles.types import (
    NUMBERS,
    WEIGHTS,
    Call,
    DType,
    Global,
    PickledArray,
    PickledObject,
    Refused,
    check_dtype,
    check_items,
    check_keys,
    new_object,
    set_array,
    set_attributes,
)

MOST_ITEMS = 1_000_000
WEIGH_AFTER = 2_000_000
"""After how many values it is looked again how much has stayed beside the architectures."""
LONGEST_TEXT = 1 << 24
LONGEST_BYTES = 1 << 28
_FLOAT = struct.Struct(">d")
_INT = struct.Struct("<i")
_U8 = struct.Struct("B")
_U16 = struct.Struct("<H")
_U32 = struct.Struct("<I")
_U64 = struct.Struct("<Q")


def loads(
    data: bytes,
    *,
    file: str,
    allowed: Mapping[Global, Call | None] = NUMBERS,
    most_items: int = MOST_ITEMS,
) -> Any:
    """Read one pickle from memory; see `Unpickler`."""
    return Unpickler(Stream(file, data), allowed=allowed, most_items=most_items).load()


class Unpickler:
    """Reads one pickle.

    Args:
        stream: Where the bytes come from.
        allowed: The classes and functions the file may name, with their stand-ins.
        on_dict: Called with every dictionary after items were put into it. If it returns True,
            it has emptied the dictionary, an architecture is done, and what was read so far is
            forgotten but for its texts.
        tensors: Whether references to a torch container's tensors may occur (and are passed over).
        fast: Read runs of numbers at once.
        most_items: How many values it may hold, or with `on_dict`, an architecture may hold.
    """

    def __init__(
        self,
        stream: Stream,
        *,
        allowed: Mapping[Global, Call | None] = NUMBERS,
        on_dict: Callable[[dict[Any, Any]], bool] | None = None,
        tensors: bool = False,
        fast: bool = True,
        most_items: int = MOST_ITEMS,
    ) -> None:
        self._in = stream
        self._allowed = allowed
        self._on_dict = on_dict
        self._tensors = tensors
        self._fast = fast
        self._most = most_items
        self._stack: list[Any] = []
        self._marks: list[int] = []
        self._memo = Memo((str, Global, DType))
        self._items = self._bytes_kept = self._unweighed = 0

    def load(self) -> Any:
        """The value.

        Raises:
            SourceError: If the file is damaged, or asks for anything that official files don't.
        """
        try:
            return self._run()
        except (Refused, Forgotten) as error:
            raise self._in.error(f"refused: {error}") from None
        except (IndexError, ValueError, TypeError, struct.error) as error:
            if isinstance(error, SourceError):
                raise
            raise self._in.error("not, or no longer, a pickle; get a fresh copy") from error

    def _run(self) -> Any:
        stream, stack, steps = self._in, self._stack, _STEPS
        while True:
            if stream.pos + stretches.LOOKAHEAD > len(stream.data):
                stream.want(stretches.LOOKAHEAD)
            if stream.pos >= len(stream.data):
                raise stream.error("the file ends in the middle; get a fresh copy")
            code = stream.data[stream.pos]
            if self._fast and code in stretches.STARTS and (read := stretches.read(stream, self._memo)):
                stack.extend(read)
                self._count(len(read))
                continue
            stream.pos += 1
            if code == _STOP:
                break
            self._count(1)
            step = steps.get(code)
            if step is None:
                raise Refused(f"opcode {_name(code)}; no official file uses it")
            step(self)
        if len(stack) != 1 or self._marks:
            raise Refused("a pickle that leaves more than one value")
        return stack[0]

    def _count(self, items: int) -> None:
        self._items += items
        if self._items > self._most:
            raise Refused(f"more than {self._most} values")

    def _keep(self, size: int) -> None:
        self._bytes_kept += size
        if self._bytes_kept > self._in.keep:
            problem = f"texts and byte strings of more than {self._in.keep} bytes"
            raise Refused(f"{problem}; no official file is so large")

    def _forget(self) -> None:
        """After an architecture: forget it, and see to it that little else has stayed."""
        self._memo.seal()
        self._unweighed += self._items + self._bytes_kept // _TEXT_UNIT
        self._items = self._bytes_kept = 0
        if self._unweighed > WEIGH_AFTER:
            self._unweighed = 0
            if _weight(self._stack, self._most) > self._most:
                raise Refused(f"more than {self._most} values beside the architectures")

    # -- one opcode each ---------------------------------------------------------------------

    def _push(self, layout: struct.Struct) -> None:
        self._stack.append(layout.unpack(self._in.take(layout.size))[0])

    def _long(self) -> None:
        size = self._in.take(1)[0]
        if size > 16:
            raise Refused(f"a whole number of {size} bytes")
        self._stack.append(int.from_bytes(self._in.take(size), "little", signed=True))

    def _size(self, layout: struct.Struct, most: int, what: str) -> int:
        size: int = layout.unpack(self._in.take(layout.size))[0]
        if size > most:
            raise Refused(f"{what} of {size} bytes")
        self._keep(size)
        return size

    def _text(self, layout: struct.Struct) -> None:
        data = self._in.take(self._size(layout, LONGEST_TEXT, "a text"))
        self._stack.append(str(data, "utf-8", "surrogatepass"))

    def _long_text(self) -> None:
        line = self._line(LONGEST_TEXT)
        self._keep(len(line))
        self._stack.append(str(line, "raw-unicode-escape"))

    def _decimal(self) -> None:
        line = self._line(40)
        self._stack.append(line == b"01" if line in (b"00", b"01") else int(line))

    def _bytes(self, layout: struct.Struct) -> None:
        self._stack.append(self._in.take(self._size(layout, LONGEST_BYTES, "a byte string")))

    def _pop(self) -> Any:
        if self._marks and len(self._stack) <= self._marks[-1]:
            raise IndexError
        return self._stack.pop()

    def _pop_mark(self) -> list[Any]:
        start = self._marks.pop()
        items = self._stack[start:]
        del self._stack[start:]
        return items

    def _tuple(self, count: int) -> None:
        items = [self._pop() for _ in range(count)]
        self._stack.append(tuple(reversed(items)))

    def _top(self, kind: type) -> Any:
        if type(self._stack[-1]) is not kind:
            raise Refused(f"items for a {type(self._stack[-1]).__name__} where a {kind.__name__} belongs")
        return self._stack[-1]

    def _append(self) -> None:
        item = self._pop()
        self._top(list).append(item)

    def _appends(self) -> None:
        items = self._pop_mark()
        self._top(list).extend(items)

    def _add_items(self) -> None:
        items = self._pop_mark()
        self._top(set).update(check_items(items))

    def _dict(self) -> None:
        items = self._pop_mark()
        self._stack.append({})
        self._fill(items)

    def _set_item(self) -> None:
        value = self._pop()
        self._fill([self._pop(), value])

    def _fill(self, items: list[Any]) -> None:
        keys = items[::2]
        if 2 * len(keys) != len(items):
            raise Refused("a dictionary key without a value")
        check_keys(keys)
        target = self._top(dict)
        target.update(zip(keys, items[1::2], strict=True))
        if self._on_dict is not None and self._on_dict(target):
            self._forget()

    def _get(self, number: int) -> None:
        self._stack.append(self._memo[number])

    def _put(self, number: int) -> None:
        self._memo.put(number, self._stack[-1])

    def _global(self) -> None:
        module, name = self._line(256), self._line(256)
        self._name(module.decode("utf-8"), name.decode("utf-8"))

    def _line(self, most: int) -> bytes:
        self._in.want(most)
        end = self._in.data.find(b"\n", self._in.pos, self._in.pos + most)
        if end < 0:
            raise Refused("a line that does not end")
        line = self._in.take(end - self._in.pos)
        self._in.take(1)
        return line

    def _stack_global(self) -> None:
        name = self._pop()
        self._name(self._pop(), name)

    def _name(self, module: Any, name: Any) -> None:
        if type(module) is not str or type(name) is not str:
            raise Refused("a name that is not a text")
        found = Global(module, name)
        if found not in self._allowed:
            raise Refused(f"it names {str(found)[:120]}, which no official file needs")
        self._stack.append(found)

    def _reduce(self) -> None:
        args, function = self._pop(), self._pop()
        call = self._allowed.get(function) if type(function) is Global else None
        if call is None or type(args) is not tuple:
            raise Refused("a call of something that is not a known class")
        for arg in args:  # what is made of them is as large, and they can be had again for two bytes
            if type(arg) is list or type(arg) is tuple:
                self._count(len(arg))
            elif type(arg) is str or type(arg) is bytes:
                self._keep(len(arg))
        self._stack.append(call(args))

    def _new(self) -> None:
        args, kind = self._pop(), self._pop()
        if type(kind) is not Global or self._allowed.get(kind) is not new_object or type(args) is not tuple:
            raise Refused("an object of something that is not a known class")
        self._stack.append(new_object(args))

    def _build(self) -> None:
        state = self._pop()
        target = self._stack[-1]
        if type(target) is DType:
            check_dtype(state)
        elif type(target) is PickledArray:
            set_array(target, state)
        elif type(target) is PickledObject:
            set_attributes(target, state)
        elif not (target is WEIGHTS or (type(target) is dict and type(state) is dict)):
            raise Refused(f"a state for a {type(target).__name__}")
        # The attributes of an OrderedDict (torch's `_metadata`) are no numbers; they are dropped.

    def _tensor(self) -> None:
        if not self._tensors:
            raise Refused("a reference to something outside the pickle")
        self._pop()
        self._stack.append(WEIGHTS)


_TEXT_UNIT = 64


def _weight(value: Any, most: int) -> int:
    """How many values there are in a value, a text counting by its length; not counted beyond `most`."""
    count, todo = 0, [value]
    while todo and count <= most:
        value = todo.pop()
        count += 1
        if type(value) is dict:
            count += len(value)
            todo.extend(value.values())
        elif type(value) is list or type(value) is tuple or type(value) is set:
            todo.extend(value)
        elif type(value) is str or type(value) is bytes:
            count += len(value) // _TEXT_UNIT
    return count


def _name(code: int) -> str:
    return next((op.name for op in opcodes if op.code == chr(code)), f"0x{code:02x}")


Step = Callable[[Unpickler], object]
_STOP = ord(".")
_STEPS: dict[int, Step] = {
    ord(code): step
    for code, step in {
        "\x80": lambda vm: vm._in.take(1),
        "\x95": lambda vm: vm._in.take(8),
        "N": lambda vm: vm._stack.append(None),
        "\x88": lambda vm: vm._stack.append(True),
        "\x89": lambda vm: vm._stack.append(False),
        "K": lambda vm: vm._stack.append(vm._in.take(1)[0]),
        "M": lambda vm: vm._push(_U16),
        "J": lambda vm: vm._push(_INT),
        "\x8a": Unpickler._long,
        "G": lambda vm: vm._push(_FLOAT),
        "I": Unpickler._decimal,
        "V": Unpickler._long_text,
        "\x8c": lambda vm: vm._text(_U8),
        "X": lambda vm: vm._text(_U32),
        "C": lambda vm: vm._bytes(_U8),
        "B": lambda vm: vm._bytes(_U32),
        "U": lambda vm: vm._bytes(_U8),  # Python 2's texts
        "T": lambda vm: vm._bytes(_U32),
        "\x96": lambda vm: vm._bytes(_U64),
        "]": lambda vm: vm._stack.append([]),
        "l": lambda vm: vm._stack.append(vm._pop_mark()),
        "d": Unpickler._dict,
        "}": lambda vm: vm._stack.append({}),
        ")": lambda vm: vm._stack.append(()),
        "\x8f": lambda vm: vm._stack.append(set()),
        "(": lambda vm: vm._marks.append(len(vm._stack)),
        "t": lambda vm: vm._stack.append(tuple(vm._pop_mark())),
        "\x85": lambda vm: vm._tuple(1),
        "\x86": lambda vm: vm._tuple(2),
        "\x87": lambda vm: vm._tuple(3),
        "a": Unpickler._append,
        "e": Unpickler._appends,
        "s": Unpickler._set_item,
        "u": lambda vm: vm._fill(vm._pop_mark()),
        "\x90": Unpickler._add_items,
        "q": lambda vm: vm._put(vm._in.take(1)[0]),
        "r": lambda vm: vm._put(_U32.unpack(vm._in.take(4))[0]),
        "p": lambda vm: vm._put(int(vm._line(20))),
        "g": lambda vm: vm._get(int(vm._line(20))),
        "\x94": lambda vm: vm._memo.append(vm._stack[-1]),
        "h": lambda vm: vm._get(vm._in.take(1)[0]),
        "j": lambda vm: vm._get(_U32.unpack(vm._in.take(4))[0]),
        "c": Unpickler._global,
        "\x93": Unpickler._stack_global,
        "R": Unpickler._reduce,
        "\x81": Unpickler._new,
        "b": Unpickler._build,
        "Q": Unpickler._tensor,
    }.items()
}
