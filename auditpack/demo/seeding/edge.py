"""Seed what faces the web: certificates and load balancers."""

from __future__ import annotations

import datetime
import hashlib
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from auditpack.demo.model.compute import Certificate, ListenerKind, LoadBalancer
from auditpack.demo.seeding.place import Place, as_list, given

TLS_TODAY = "ELBSecurityPolicy-TLS13-1-2-2021-06"
TLS_OF_OLD = "ELBSecurityPolicy-2016-08"
"""Still accepts TLS 1.0 and 1.1."""


def seed_certificates(place: Place, certificates: tuple[Certificate, ...]) -> None:
    """Certificates: asked of AWS, or brought along with a date of their own."""
    acm = place.client("acm")
    for certificate in certificates:
        with place.making("aws_acm_certificate", certificate.name, certificate) as tags:
            if certificate.expires_in is None:
                made = acm.request_certificate(
                    DomainName=certificate.name,
                    ValidationMethod="DNS",
                    **given(Tags=as_list(tags)),
                )
            else:
                made = acm.import_certificate(
                    **self_signed(certificate, datetime.datetime.now(datetime.UTC)),
                    **given(Tags=as_list(tags)),
                )
        place.remember("certificate", certificate.name, made["CertificateArn"])


def self_signed(certificate: Certificate, now: datetime.datetime) -> dict[str, bytes]:
    """A certificate and its key, both made from its name: they protect nothing."""
    digest = int.from_bytes(hashlib.sha256(certificate.name.encode()).digest())
    key = ec.derive_private_key(digest % (1 << 255) + 1, ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, certificate.name)])
    end = now + datetime.timedelta(days=certificate.expires_in or 0)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(digest % (1 << 64) + 1)
        .not_valid_before(end - datetime.timedelta(days=certificate.valid_for))
        .not_valid_after(end)
        .add_extension(
            x509.SubjectAlternativeName([x509.DNSName(certificate.name)]), critical=False
        )
        .sign(key, hashes.SHA256())
    )
    return {
        "Certificate": made.public_bytes(serialization.Encoding.PEM),
        "PrivateKey": key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ),
    }


def seed_balancers(place: Place, balancers: tuple[LoadBalancer, ...]) -> None:
    """Load balancers with their listeners."""
    for balancer in balancers:
        with place.making("aws_lb", balancer.name, balancer) as tags:
            made = place.client("elbv2").create_load_balancer(
                Name=balancer.name,
                Type="application",
                Scheme="internal" if balancer.internal else "internet-facing",
                Subnets=place.find_all("subnet", balancer.subnets),
                SecurityGroups=place.find_all("group", balancer.groups),
                **given(Tags=as_list(tags)),
            )["LoadBalancers"][0]["LoadBalancerArn"]
            place.client("elbv2").modify_load_balancer_attributes(
                LoadBalancerArn=made, Attributes=as_list(attributes(balancer))
            )
        seed_listeners(place, balancer, made)


def attributes(balancer: LoadBalancer) -> dict[str, str]:
    """What is set on a load balancer besides its listeners."""
    wanted = {
        "deletion_protection.enabled": str(balancer.protected).lower(),
        "routing.http.drop_invalid_header_fields.enabled": str(balancer.drop_bad_headers).lower(),
    }
    if balancer.log_to:
        wanted |= {
            "access_logs.s3.enabled": "true",
            "access_logs.s3.bucket": balancer.log_to,
            "access_logs.s3.prefix": balancer.name,
        }
    return wanted


def seed_listeners(place: Place, balancer: LoadBalancer, arn: str) -> None:
    """The listeners of a load balancer, and the group of targets that they pass on to."""
    elbv2 = place.client("elbv2")
    with place.doing("aws_lb_target_group", balancer.name, balancer.age):
        group = elbv2.create_target_group(
            Name=balancer.name, Protocol="HTTP", Port=8080, VpcId=place.find("vpc", balancer.vpc)
        )["TargetGroups"][0]["TargetGroupArn"]
    for kind in balancer.listeners:
        with place.making("aws_lb_listener", f"{balancer.name}/{kind}", balancer):
            elbv2.create_listener(LoadBalancerArn=arn, **listener(place, balancer, kind, group))


def listener(
    place: Place, balancer: LoadBalancer, kind: ListenerKind, group: str
) -> dict[str, Any]:
    """One listener, as the load balancer wants it."""
    if kind == "http-redirect":
        to_https = {"Protocol": "HTTPS", "Port": "443", "StatusCode": "HTTP_301"}
        action: dict[str, Any] = {"Type": "redirect", "RedirectConfig": to_https}
        return {"Protocol": "HTTP", "Port": 80, "DefaultActions": [action]}
    forward = {"Type": "forward", "TargetGroupArn": group}
    if kind == "http":
        return {"Protocol": "HTTP", "Port": 80, "DefaultActions": [forward]}
    certificate = place.find("certificate", balancer.certificate)
    return {
        "Protocol": "HTTPS",
        "Port": 443,
        "SslPolicy": TLS_OF_OLD if kind == "https-old" else TLS_TODAY,
        "Certificates": [{"CertificateArn": certificate}],
        "DefaultActions": [forward],
    }
