"""What the command `market` prints: tables for a person, one JSON document for a script."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

from flow_resources.cli import tables
from flow_resources.cli.market.read import Markets, Row
from flow_resources.cli.watch.show import stamp
from flow_resources.core import advice, money
from flow_resources.core.advice import BidRecord, BudgetPlan
from flow_resources.core.prices import PriceHistory, hours_of

LOG_WIDTH = 120
"""How wide the tables are without a terminal."""
_UNKNOWN = "-"
_HEADS = ("TYPE", "REGION", "PRICE", "PER GPU", "FLOOR", "TO WIN", "FREE")
BLOCKS = "▁▂▃▄▅▆▇█"
_ASCII_BLOCKS = "_.-=+*#@"


@dataclass(frozen=True)
class Details:
    """How the price of one market was, and what bids would have done."""

    row: Row
    history: PriceHistory
    hours: int
    """How many hours were asked for; the history can be shorter."""
    bid: Decimal | None
    budget: Decimal | None
    machines: int

    def records(self) -> list[tuple[Decimal | None, BidRecord, BudgetPlan | None]]:
        """Return the advised bids and the one that was asked for (share None), and what the budget buys at each."""
        records: list[tuple[Decimal | None, BidRecord]] = [*advice.advised_bids(self.history)]
        if self.bid is not None:
            records.append((None, advice.record_of(self.history, self.bid)))
        return [
            (share, record, None if self.budget is None else advice.budget_plan(record, self.budget, self.machines))
            for share, record in records
        ]


def names_of(rows: Sequence[Row]) -> list[str]:
    """Return what each row is called: the spelling if it is unique in its region, else the name, else the id."""
    spellings = Counter((row.region, row.type.spelling) for row in rows)
    full_names = Counter((row.region, row.type.name) for row in rows)
    return [
        row.type.spelling
        if row.type.spelling and spellings[row.region, row.type.spelling] == 1
        else row.type.name
        if row.type.name and full_names[row.region, row.type.name] == 1
        else row.type.id
        for row in rows
    ]


def market_lines(found: Markets, machines: int, width: int) -> list[str]:
    """Return the table of markets, at most `width` wide: what is too long is the name, and is cut."""
    cells = [
        (name, row.region, _usd(row.price), _usd(row.per_gpu), _usd(row.prices.floor), _usd(row.prices.lowest_to_win),
         _free(row))
        for name, row in zip(names_of(found.rows), found.rows, strict=True)
    ]  # fmt: skip
    count = "one machine" if machines == 1 else f"{machines} machines"
    note = f"USD per machine and hour; TO WIN: the lowest bid for {count} that wins now."
    return [*tables.lines_of(tables.draw(_HEADS, cells, right=_HEADS[2:], width=width), width), "", note]


def detail_lines(details: Details, width: int, *, is_ascii: bool) -> Iterator[str]:
    """Yield how the price was, as a line and in numbers, and what bids would have done."""
    history, row = details.history, details.row
    prices = advice.price_range(history)
    (name,) = names_of([row])
    hours = hours_of(history.duration)
    known = "" if hours >= details.hours - 1 else f", of which {_hours(hours)} are known"
    yield f"{name} in {row.region}, the last {details.hours} h{known}:"
    yield f"lowest {_usd(prices.lowest)}, median {_usd(prices.median)}, highest {_usd(prices.highest)}"
    yield ""
    yield from _price_lines(details, width, is_ascii=is_ascii)
    yield ""
    heads = ["FOR", "BID", "HELD", "LOSSES", "LONGEST", "PAID"]
    if details.budget is not None:
        count = f"{details.machines} machine{'s' if details.machines > 1 else ''}"
        yield f"What {_usd(details.budget)} would have paid for, with {count}:"
        heads += ["RUNS", "WITHIN"]
    cells = []
    for share, record, plan in details.records():
        budget = () if details.budget is None else _budget_cells(plan)
        cells.append((
            "--bid" if share is None else f"{int(share * 100)} %", _usd(record.bid), percent(record.share_held),
            str(record.losses), _hours(hours_of(record.longest_loss)), _usd(record.average_paid), *budget,
        ))  # fmt: skip
    yield from tables.lines_of(tables.draw(heads, cells, right=heads, width=width), width)


def document(found: Markets, details: Details | None, machines: int) -> str:
    """Return all of it as JSON. The shape is a promise (docs/reference/market.md): keys may come, none changes."""
    content = {
        "version": 1,
        "service": found.service,
        "machines": machines,
        "markets": [_row_document(row) for row in found.rows],
        "history": details and _details_document(details),
    }
    return json.dumps(content, indent=2)


def percent(share: Decimal) -> str:
    """Write a share of the time; what is not quite all of it is never written as all of it."""
    tenths = int(share * 1000)
    return f"{tenths // 10}.{tenths % 10} %"


def _price_lines(details: Details, width: int, *, is_ascii: bool) -> Iterator[str]:
    """Yield the price over time, a sign for the highest price of each part, with the losses of the bid below."""
    history, bid = details.history, details.bid
    heights = advice.highest_prices(history, width)
    prices = advice.price_range(history)
    signs = _ASCII_BLOCKS if is_ascii else BLOCKS
    spread = prices.highest - prices.lowest
    yield "".join(
        " " if price is None else signs[int((price - prices.lowest) / spread * (len(signs) - 1)) if spread else 0]
        for price in heights
    ).rstrip()
    losses = ""
    if bid is not None:
        losses = "".join("x" if price is not None and price > bid else " " for price in heights).rstrip()
        yield losses or f"a bid of {_usd(bid)} would have lost nothing"
    start, end = _moment(history.start), f"{_moment(history.end)} UTC"
    yield start + end.rjust(width - len(start)) if width > len(start) + len(end) else f"{start} to {end}"
    if bid is not None and losses:
        yield f"x: a bid of {_usd(bid)} would have lost its machines"


def _budget_cells(plan: BudgetPlan | None) -> tuple[str, str]:
    return (_UNKNOWN, _UNKNOWN) if plan is None else (_hours(plan.running_hours), _hours(plan.elapsed_hours))


def _hours(hours: Decimal) -> str:
    return f"{hours.quantize(Decimal('0.1')):,} h"


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%d %H:%M")


def _usd(price: Decimal | None) -> str:
    return _UNKNOWN if price is None else money.usd(price)


def _free(row: Row) -> str:
    counts = (row.prices.available, row.prices.total)
    return _UNKNOWN if counts == (None, None) else "/".join(_UNKNOWN if one is None else str(one) for one in counts)


def _row_document(row: Row) -> dict[str, Any]:
    return {
        "instance_type": row.type.spelling or row.type.id,
        "id": row.type.id,
        "name": row.type.name,
        "region": row.region,
        "gpus": row.type.gpus or None,
        "price": _number(row.price),
        "price_per_gpu": _number(row.per_gpu),
        "floor": _number(row.prices.floor),
        "lowest_to_win": _number(row.prices.lowest_to_win),
        "on_demand": _number(row.prices.on_demand),
        "available": row.prices.available,
        "total": row.prices.total,
    }


def _details_document(details: Details) -> dict[str, Any]:
    history = details.history
    prices = advice.price_range(history)
    return {
        "start": stamp(history.start),
        "end": stamp(history.end),
        "hours": float(hours_of(history.duration)),
        "lowest": _number(prices.lowest),
        "median": _number(prices.median),
        "highest": _number(prices.highest),
        "budget": _number(details.budget),
        "bids": [_record_document(*entry) for entry in details.records()],
    }


def _record_document(share: Decimal | None, record: BidRecord, plan: BudgetPlan | None) -> dict[str, Any]:
    return {
        "bid": _number(record.bid),
        "share": _number(share),
        "share_held": float(record.share_held.quantize(Decimal("0.0001"))),
        "losses": record.losses,
        "longest_loss_hours": float(hours_of(record.longest_loss)),
        "average_paid": _number(record.average_paid),
        "budget_running_hours": plan and float(plan.running_hours),
        "budget_elapsed_hours": plan and float(plan.elapsed_hours),
    }


def _number(amount: Decimal | None) -> float | None:
    return None if amount is None else float(amount)
