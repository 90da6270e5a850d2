"""The methods of google.cloud.asset.v1.AssetService over gRPC, and what was called."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from typing import Any

import grpc

from auditpack.demo.gcp import messages
from auditpack.demo.gcp.analyzing import Analyzer
from auditpack.demo.gcp.estate import GcpEstate
from auditpack.demo.gcp.knobs import Call, Knobs
from auditpack.demo.gcp.listing import Lister
from auditpack.demo.gcp.paging import Pages
from auditpack.demo.gcp.roles import Roles
from auditpack.demo.gcp.searching import Searcher
from auditpack.demo.gcp.statuses import Refused, unauthenticated
from auditpack.demo.gcp.tokens import Tokens, bearer

Answer = Callable[[Any], Any]


class AssetService:
    """What answers calls, whichever port they came in by."""

    def __init__(
        self,
        estate: GcpEstate,
        knobs: Knobs,
        tokens: Tokens,
        clock: Callable[[], datetime.datetime],
    ) -> None:
        self.pages = Pages()
        self.calls: list[Call] = []
        self._knobs = knobs
        self._tokens = tokens
        roles = Roles(estate)
        searcher = Searcher(estate, self.pages, roles, clock)
        self._methods: dict[str, tuple[Any, Answer]] = {
            "ListAssets": (messages.LIST_REQUEST, Lister(estate, self.pages, clock).answer),
            "SearchAllIamPolicies": (messages.SEARCH_POLICIES_REQUEST, searcher.policies),
            "SearchAllResources": (messages.SEARCH_RESOURCES_REQUEST, searcher.resources),
            "AnalyzeIamPolicy": (messages.ANALYZE_REQUEST, Analyzer(estate, roles, clock).answer),
        }

    @property
    def methods(self) -> frozenset[str]:
        """The methods that are answered."""
        return frozenset(self._methods)

    def handler(self, path: str, secure: bool) -> grpc.RpcMethodHandler:
        """Return what answers a method; of one that is not known, what records and refuses it."""
        method = path.removeprefix(f"/{messages.SERVICE}/")
        kind, answer = self._methods.get(method, (None, None))

        def serve(request: Any, context: grpc.ServicerContext) -> Any:
            call = self._call(method, request, context, secure)
            try:
                self._admit(call)
                if answer is None:
                    raise Refused("UNIMPLEMENTED", f"{method} is not served: this only reads.")
                response = answer(request)
            except Refused as refused:
                call.code = refused.code
                context.set_trailing_metadata(refused.trailing())
                context.abort(grpc.StatusCode[refused.code], refused.message)
            except Exception as error:  # noqa: BLE001 (a mistake of the fake is answered, not hidden)
                call.code = "INTERNAL"
                context.abort(grpc.StatusCode.INTERNAL, f"FakeGcpMistake: {error!r}")
            call.code = "OK"
            return response

        return grpc.unary_unary_rpc_method_handler(
            serve,
            request_deserializer=None if kind is None else kind.FromString,
            response_serializer=None
            if kind is None
            else lambda message: message.SerializeToString(),
        )

    def _call(self, method: str, request: Any, context: grpc.ServicerContext, secure: bool) -> Call:
        metadata = {str(k): str(v) for k, v in context.invocation_metadata() or ()}
        call = Call(method, request=request, metadata=metadata, secure=secure)
        if method == "ListAssets":
            call.parent = request.parent
            call.content = messages.CONTENTS.get(request.content_type, "")
        elif method == "AnalyzeIamPolicy":
            call.parent = request.analysis_query.scope
        elif method in self._methods:
            call.parent = request.scope
        token = bearer(metadata.get("authorization", ""))
        call.principal = (self._tokens.principal_of(token) if token else "") or ""
        self.calls.append(call)
        return call

    def _admit(self, call: Call) -> None:
        if not call.principal and (call.secure or self._knobs.require_token):
            given = "authorization" in call.metadata
            raise unauthenticated("ACCESS_TOKEN_INVALID" if given else "CREDENTIALS_MISSING")
        self._knobs.admit(call)


class Handlers(grpc.GenericRpcHandler):  # type: ignore[misc]
    """Takes every method of every service at a port, so that none is called unseen."""

    def __init__(self, service: AssetService, *, secure: bool) -> None:
        self._service = service
        self._secure = secure

    def service(self, handler_call_details: Any) -> grpc.RpcMethodHandler:
        """Return the handler of a call."""
        return self._service.handler(handler_call_details.method, self._secure)
