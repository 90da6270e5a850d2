"""AnalyzeIamPolicy: who may do what on what, by which binding.

The bindings below a scope are looked through. A selector narrows them: permissions or roles (ten
at most), an identity (itself, or a group that it is in), a resource (its own policy and those above
it). Groups are the company's; of any other group nobody may see the members, so that the result is
not fully explored. Bindings that name allUsers or allAuthenticatedUsers are found by access and by
resource, never by an identity. Left out are saved queries and impersonation.
"""

from __future__ import annotations

import datetime
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from google.rpc import code_pb2

from auditpack.demo.gcp.estate import GcpEstate, Record, Version
from auditpack.demo.gcp.listing import find_place
from auditpack.demo.gcp.messages import ANALYSIS_RESULT, ANALYZE_RESPONSE
from auditpack.demo.gcp.roles import Roles
from auditpack.demo.gcp.statuses import Refused, invalid

MOST_SELECTED = 10
MOST_RESOURCES = 1000
TRUE, FALSE, CONDITIONAL = 1, 2, 3
_EXPIRY = re.compile(r"\s*request\.time\s*<\s*timestamp\(['\"]([^'\"]+)['\"]\)\s*")


@dataclass(frozen=True)
class Attached:
    """A binding, and the asset whose policy it stands in."""

    record: Record
    binding: Any


class Analyzer:
    """Answers AnalyzeIamPolicy."""

    def __init__(
        self, estate: GcpEstate, roles: Roles, clock: Callable[[], datetime.datetime]
    ) -> None:
        self._estate = estate
        self._roles = roles
        self._clock = clock

    def answer(self, request: Any) -> Any:
        """Return the whole analysis; it has no pages."""
        if request.saved_analysis_query:
            raise invalid("There is no such saved query.", "saved_analysis_query")
        query = request.analysis_query
        self._check(query)
        results = [
            result
            for attached in self._attached(query)
            if (result := self._result(attached, query)) is not None
        ]
        response = ANALYZE_RESPONSE()
        analysis = response.main_analysis
        analysis.analysis_query.CopyFrom(query)
        analysis.analysis_results.extend(results)
        analysis.fully_explored = all(result.fully_explored for result in results)
        for result in results:
            for identity in result.identity_list.identities:
                if identity.analysis_state.code:
                    analysis.non_critical_errors.add().CopyFrom(identity.analysis_state)
        response.fully_explored = analysis.fully_explored
        return response

    def _check(self, query: Any) -> None:
        chosen = [*query.access_selector.roles, *query.access_selector.permissions]
        identity = query.identity_selector.identity
        resource = query.resource_selector.full_resource_name
        options = query.options
        if not (chosen or identity or resource):
            raise invalid("At least one selector must be specified.", "analysis_query")
        if len(chosen) > MOST_SELECTED:
            raise invalid(
                f"At most {MOST_SELECTED} roles and permissions may be specified.",
                "analysis_query.access_selector",
            )
        if identity and options.expand_groups:
            raise invalid("expand_groups is not allowed with an identity.", "options.expand_groups")
        if chosen and options.expand_roles:
            raise invalid("expand_roles is not allowed with an access.", "options.expand_roles")
        if "*" in identity or "?" in identity or (identity and ":" not in identity):
            raise invalid(f"'{identity}' is not an identity.", "identity_selector.identity")
        if options.analyze_service_account_impersonation:
            raise Refused("UNIMPLEMENTED", "Impersonation is not analyzed here.")
        if query.condition_context.HasField("access_time"):
            moment = query.condition_context.access_time.ToDatetime(datetime.UTC)
            if moment < self._clock():
                raise invalid("The access time must not lie in the past.", "access_time")

    # -- which bindings

    def _current(self, scope: str) -> Iterator[tuple[Record, Version]]:
        place = find_place(self._estate, scope)
        now = self._clock()
        for record in self._estate.records:
            version = record.at(now)
            if version is None or "resource" not in version.messages:
                continue
            if place.relative in record.place.ancestors:
                yield record, version

    def _attached(self, query: Any) -> Iterator[Attached]:
        chain = self._chain(query)
        for record, version in self._current(query.scope):
            message = version.messages.get("iam_policy")
            if message is None or (chain is not None and record.name not in chain):
                continue
            for binding in message.iam_policy.bindings:
                yield Attached(record, binding)

    def _chain(self, query: Any) -> set[str] | None:
        """Return the names of a selected resource and of all that it inherits from."""
        name = query.resource_selector.full_resource_name
        if not name:
            return None
        known = {record.name: (record, version) for record, version in self._current(query.scope)}
        if name not in known:
            raise invalid(f"'{name}' is not in the scope.", "resource_selector")
        chain = set()
        while name:
            chain.add(name)
            if name not in known:
                break
            name = known[name][1].messages["resource"].resource.parent
        return chain

    # -- what they say

    def _result(self, attached: Attached, query: Any) -> Any:
        accesses = self._accesses(attached.binding.role, query)
        identities = list(self._identities(attached.binding, query))
        if not accesses or not identities:
            return None
        result = ANALYSIS_RESULT(attached_resource_full_name=attached.record.name)
        result.iam_binding.CopyFrom(attached.binding)
        control = result.access_control_lists.add()
        for name in self._resources(attached, query):
            control.resources.add().full_resource_name = name
        for kind, name in accesses:
            setattr(control.accesses.add(), kind, name)
        if attached.binding.HasField("condition"):
            value = self._condition(attached.binding.condition.expression, query)
            control.condition_evaluation.evaluation_value = value
        result.fully_explored = True
        for name, hidden in identities:
            identity = result.identity_list.identities.add(name=name)
            if hidden:
                result.fully_explored = False
                identity.analysis_state.code = code_pb2.PERMISSION_DENIED
                identity.analysis_state.cause = f"The members of {name} cannot be seen."
        if query.options.output_group_edges:
            self._edges(result, attached.binding)
        return result

    def _accesses(self, role: str, query: Any) -> list[tuple[str, str]]:
        selector = query.access_selector
        permissions = self._roles.permissions(role)
        if selector.roles or selector.permissions:
            found = [("role", name) for name in selector.roles if name == role]
            wanted = (name for name in selector.permissions if name in permissions)
            return found + [("permission", name) for name in wanted]
        if query.options.expand_roles:
            return [("permission", name) for name in permissions]
        return [("role", role)]

    def _identities(self, binding: Any, query: Any) -> Iterator[tuple[str, bool]]:
        """Yield identities, and whether they are groups that nobody may look into."""
        selected = query.identity_selector.identity
        if selected:
            if any(selected in (member, *self._members(member)) for member in binding.members):
                yield selected, False
            return
        seen = set()
        for member in binding.members:
            there = [member]
            if query.options.expand_groups and member.startswith("group:"):
                there += self._members(member)
            for name in there:
                if name not in seen:
                    seen.add(name)
                    yield name, self._is_hidden(name, query)

    def _is_hidden(self, name: str, query: Any) -> bool:
        expanding: bool = query.options.expand_groups
        return expanding and name.startswith("group:") and name not in self._groups

    @property
    def _groups(self) -> dict[str, list[str]]:
        return self._estate.company.groups

    def _members(self, member: str, above: tuple[str, ...] = ()) -> list[str]:
        """Return who is in a group, also by another group."""
        found: list[str] = []
        for name in self._groups.get(member, []):
            found.append(name)
            if name not in above:
                found += self._members(name, (*above, member))
        return found

    def _edges(self, result: Any, binding: Any) -> None:
        left = [member for member in binding.members if member.startswith("group:")]
        while left:
            group = left.pop(0)
            for name in self._groups.get(group, []):
                result.identity_list.group_edges.add(source_node=group, target_node=name)
                left += [name] if name.startswith("group:") else []

    def _resources(self, attached: Attached, query: Any) -> list[str]:
        selected = query.resource_selector.full_resource_name
        if selected:
            return [selected]
        if not query.options.expand_resources:
            return [attached.record.name]
        names = [attached.record.name]
        if attached.record.name == attached.record.place.full_name:
            names += [
                record.name
                for record, _ in self._current(attached.record.place.relative)
                if record.name != attached.record.name
            ]
        return names[:MOST_RESOURCES]

    @staticmethod
    def _condition(expression: str, query: Any) -> int:
        found = _EXPIRY.fullmatch(expression)
        if found is None or not query.condition_context.HasField("access_time"):
            return CONDITIONAL
        moment = query.condition_context.access_time.ToDatetime(datetime.UTC)
        return TRUE if moment < datetime.datetime.fromisoformat(found[1]) else FALSE
