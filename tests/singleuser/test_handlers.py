"""The address that the status bar asks, on a real Jupyter Server."""

from __future__ import annotations


def test_it_answers_profile_and_project(jupyter_server):
    response = jupyter_server.session()
    assert response.status_code == 200
    body = response.json()["description"]
    assert (body["under_platform"], body["profile"], body["project_name"]) == (True, "quantum", "QC @ INFN")


def test_it_tells_no_token(jupyter_server):
    assert "very-secret" not in jupyter_server.session().text


def test_nobody_reads_it_without_logging_in(jupyter_server):
    response = jupyter_server.session(token=None)
    assert response.status_code == 403
    assert "quantum" not in response.text


def test_a_wrong_token_is_refused(jupyter_server):
    assert jupyter_server.session(token="wrong").status_code == 403


def test_it_cannot_be_changed(jupyter_server):
    assert jupyter_server.session(method="POST").status_code == 405
