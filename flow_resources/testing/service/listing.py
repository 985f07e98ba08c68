"""Paginated lists: filters, sorting, and a cursor that stays valid while rows are added and removed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from flow_resources.testing.service.query import PAGE_MAX, Query, write_cursor
from flow_resources.testing.service.store import Row, Store, placeholders


@dataclass
class Listing:
    """One page of a list, as a request describes it: filters, sort order, page size and cursor."""

    table: str
    sort_column: str
    """The column to sort by; rows with equal values are sorted by creation."""
    descending: bool
    limit: int
    cursor: tuple[str | int, int] | None
    where: list[str] = field(default_factory=list)
    values: list[object] = field(default_factory=list)

    @classmethod
    def read(cls, table: str, query: Query, columns: Mapping[str, str], page_limit: int) -> Listing:
        """Read sort_by, sort_dir, limit and next_cursor from a query; the default is newest first."""
        sort_by = query.choice("sort_by", tuple(columns)) or "created_at"
        descending = (query.choice("sort_dir", ("asc", "desc")) or "desc") == "desc"
        limit = min(query.integer("limit", maximum=PAGE_MAX) or page_limit, page_limit)
        return cls(table, columns[sort_by], descending, limit, query.cursor())

    def filter_in(self, column: str, values: Sequence[object]) -> None:
        """Keep the rows in which the column has one of the values."""
        self.where.append(f"{column} IN ({placeholders(values)})")
        self.values.extend(values)

    def filter_by_query(self, query: Query, **columns: str) -> None:
        """Keep the rows that match the parameters of a query; `columns` maps parameters to columns."""
        for name, column in columns.items():
            if value := query.text(name):
                self.filter_in(column, [value])

    def filter_by_name(self, name: str, *, prefix: bool) -> None:
        """Keep the rows with this name, or whose name has this prefix."""
        if prefix:
            self.where.append("substr(name, 1, ?) = ?")
            self.values.extend((len(name), name))
        else:
            self.filter_in("name", [name])

    def filter_by_creation(self, until: float) -> None:
        """Keep the rows that were created by then."""
        self.where.append("created_at <= ?")
        self.values.append(until)

    def page(self, store: Store) -> tuple[list[Row], str | None]:
        """Return the rows of the page and the cursor of the next page; None on the last page."""
        where, values = list(self.where), list(self.values)
        if self.cursor is not None:
            where.append(f"({self.sort_column}, seq) {'<' if self.descending else '>'} (?, ?)")
            values.extend(self.cursor)
        direction = "DESC" if self.descending else "ASC"
        tie_breaker = "" if self.sort_column == "seq" else f", seq {direction}"
        condition = f"WHERE {' AND '.join(where)}" if where else ""
        sql = f"SELECT * FROM {self.table} {condition} ORDER BY {self.sort_column} {direction}{tie_breaker} LIMIT ?"  # noqa: S608
        rows = store.rows(sql, *values, self.limit + 1)
        if len(rows) <= self.limit:
            return rows, None
        last = rows[self.limit - 1]
        return rows[: self.limit], write_cursor(last[self.sort_column], last["seq"])
