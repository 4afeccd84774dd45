"""Stores whose rows follow their events."""

from __future__ import annotations

from recorder.projections.runner import project
from recorder.store.projected import SqlProjected
from recorder.store.sql import SqlStore
from tests.building import ExchangeBuilder


def fill(store: SqlStore, *built: ExchangeBuilder) -> None:
    for one in built:
        store.append([one.opened], one.events)
        project(store, SqlProjected(store))


def execute(store: SqlStore, sql: str) -> None:
    with store.writing() as connection:
        connection.exec_driver_sql(sql)
