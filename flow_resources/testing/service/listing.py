"""Lists that come in pages: filters, an order, and a cursor that stays right while rows come and go."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flow_resources.testing.service.query import PAGE_MAX, Query, write_cursor
from flow_resources.testing.service.store import Row, Store, marks


@dataclass
class Listing:
    """One list as a client asked for it: which rows, in which order, how many, from where on."""

    table: str
    order: str
    """The column to sort by; rows that are equal in it stay in the order of their creation."""
    descending: bool
    limit: int
    cursor: tuple[str | int, int] | None
    where: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    @classmethod
    def read(cls, table: str, query: Query, columns: Mapping[str, str], page_limit: int) -> Listing:
        """Read sort_by, sort_dir, limit and next_cursor. Newest first unless told otherwise."""
        sort_by = query.choice("sort_by", tuple(columns)) or "created_at"
        descending = (query.choice("sort_dir", ("asc", "desc")) or "desc") == "desc"
        limit = min(query.whole("limit", most=PAGE_MAX) or page_limit, page_limit)
        return cls(table, columns[sort_by], descending, limit, query.cursor())

    def only(self, column: str, values: Sequence[object]) -> None:
        """Keep the rows whose column has one of the values."""
        self.where.append(f"{column} IN ({marks(values)})")
        self.values.extend(values)

    def as_asked(self, query: Query, **columns: str) -> None:
        """Keep the rows that a query names, by these parameters and the columns that they speak of."""
        for name, column in columns.items():
            if value := query.text(name):
                self.only(column, [value])

    def named(self, name: str, *, prefix: bool) -> None:
        """Keep the rows of that name, or those whose name begins so."""
        if prefix:
            self.where.append("substr(name, 1, ?) = ?")
            self.values.extend((len(name), name))
        else:
            self.only("name", [name])

    def page(self, store: Store) -> tuple[list[Row], str | None]:
        """Return one page and the cursor of the next, None after the last."""
        where, values = list(self.where), list(self.values)
        if self.cursor is not None:
            where.append(f"({self.order}, seq) {'<' if self.descending else '>'} (?, ?)")
            values.extend(self.cursor)
        way = "DESC" if self.descending else "ASC"
        by = f"seq {way}" if self.order == "seq" else f"{self.order} {way}, seq {way}"
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        sql = f"SELECT * FROM {self.table} {condition} ORDER BY {by} LIMIT ?"  # noqa: S608
        rows = store.rows(sql, *values, self.limit + 1)
        if len(rows) <= self.limit:
            return rows, None
        last = rows[self.limit - 1]
        return rows[: self.limit], write_cursor(last[self.order], last["seq"])
