"""The cluster's certificates and the files with which programs log in: one authority, and one for aggregated APIs."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from ipaddress import IPv4Address
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .place import NODE, Place, State

VALID = timedelta(days=365)
EARLIER = timedelta(hours=1)
"""Certificates are valid from before they were made: clocks differ."""


@dataclass(frozen=True)
class Authority:
    """Who signs."""

    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey


def make(state: State) -> None:
    """Make all certificates and kubeconfigs for the cluster's addresses, unless they are there."""
    place, addresses = state.place, state.addresses
    if state.done.get("certificates") == str(addresses.all):
        return
    cluster, front = _authority(place, "ca"), _authority(place, "front-proxy-ca")
    local = IPv4Address("127.0.0.1")
    _issue(
        place, cluster, "apiserver", "kube-apiserver", names=_api_names(addresses.node, addresses.api_service, local)
    )
    _issue(place, cluster, "apiserver-kubelet-client", "kube-apiserver", groups=["system:masters"])
    _issue(place, front, "front-proxy-client", "front-proxy-client")
    _issue(place, cluster, "kubelet-server", f"system:node:{NODE}", names=[NODE, addresses.node, local])
    url = f"https://{addresses.node}:6443"
    for who, name, groups in (
        ("admin", "aiinfn-test-admin", ["system:masters"]),
        ("controller-manager", "system:kube-controller-manager", []),
        ("scheduler", "system:kube-scheduler", []),
        ("kubelet", f"system:node:{NODE}", ["system:nodes"]),
        ("proxy", "system:kube-proxy", []),
    ):
        _issue(place, cluster, who, name, groups=groups)
        _write(place.kubeconfig_of(who), _kubeconfig(place, who, url))
    _service_account_keys(place)
    state.done["certificates"] = str(addresses.all)
    state.save()


def _api_names(*addresses: IPv4Address) -> list[str | IPv4Address]:
    service = ["kubernetes", "default", "svc", "cluster", "local"]
    return ["localhost", *(".".join(service[:length]) for length in (1, 2, 3, 5)), *addresses]


def _authority(place: Place, file: str) -> Authority:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"aiinfn-test-{file}")])
    usage = x509.KeyUsage(True, False, False, False, False, True, True, False, False)
    certificate = (
        _dated(x509.CertificateBuilder().subject_name(name).issuer_name(name).public_key(key.public_key()))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
        .sign(key, hashes.SHA256())
    )
    _keep(place, file, certificate, key)
    return Authority(certificate, key)


def _issue(
    place: Place,
    authority: Authority,
    file: str,
    name: str,
    *,
    groups: Sequence[str] = (),
    names: Sequence[str | IPv4Address] = (),
) -> None:
    """A certificate and its key: for a server when it has names, for a client that is in ``groups`` otherwise."""
    key = ec.generate_private_key(ec.SECP256R1())
    subject = [x509.NameAttribute(NameOID.ORGANIZATION_NAME, group) for group in groups]
    subject.append(x509.NameAttribute(NameOID.COMMON_NAME, name))
    usage = ExtendedKeyUsageOID.SERVER_AUTH if names else ExtendedKeyUsageOID.CLIENT_AUTH
    builder = (
        _dated(x509.CertificateBuilder().subject_name(x509.Name(subject)).public_key(key.public_key()))
        .issuer_name(authority.certificate.subject)
        .add_extension(x509.ExtendedKeyUsage([usage]), critical=False)
        .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(authority.key.public_key()), critical=False)
    )
    if names:
        alternatives = [x509.DNSName(each) if isinstance(each, str) else x509.IPAddress(each) for each in names]
        builder = builder.add_extension(x509.SubjectAlternativeName(alternatives), critical=False)
    _keep(place, file, builder.sign(authority.key, hashes.SHA256()), key)


def _dated(builder: x509.CertificateBuilder) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        builder.serial_number(x509.random_serial_number()).not_valid_before(now - EARLIER).not_valid_after(now + VALID)
    )


def _keep(place: Place, file: str, certificate: x509.Certificate, key: ec.EllipticCurvePrivateKey) -> None:
    _write(place.certificates / f"{file}.crt", certificate.public_bytes(serialization.Encoding.PEM))
    _write(place.certificates / f"{file}.key", _private(key))


def _service_account_keys(place: Place) -> None:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    public = key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)
    _write(place.certificates / "service-accounts.pub", public)
    _write(place.certificates / "service-accounts.key", _private(key))


def _private(key: ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _kubeconfig(place: Place, who: str, url: str) -> bytes:
    """A kubeconfig, in JSON (which is YAML), that needs no other file."""

    def encoded(name: str) -> str:
        return base64.b64encode((place.certificates / name).read_bytes()).decode()

    content = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [
            {"name": place.name, "cluster": {"server": url, "certificate-authority-data": encoded("ca.crt")}},
        ],
        "users": [
            {
                "name": who,
                "user": {
                    "client-certificate-data": encoded(f"{who}.crt"),
                    "client-key-data": encoded(f"{who}.key"),
                },
            }
        ],
        "contexts": [{"name": who, "context": {"cluster": place.name, "user": who}}],
        "current-context": who,
    }
    return json.dumps(content, indent=1).encode()


def _write(path: Path, content: bytes) -> None:
    """Write a file that only its owner reads."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    path.touch(mode=0o600)
    path.write_bytes(content)
