"""Health, the front door, the dashboard's headers, CORS and the schema."""

from __future__ import annotations

from relume import __version__
from tests.contracts.conftest import Client, Start, problem


async def test_health(client: Client) -> None:
    answer = (await client.http.get("/health")).json()
    assert answer == {"status": "healthy", "service": "relume", "version": __version__}


async def test_info_tells_what_is_usable_and_no_secret(start: Start) -> None:
    async with start(replicate_api_token="r8_secret", api_key="k3y") as client:
        problem(await client.http.get("/info"), 401, "key_missing")
        answer = await client.http.get("/info", headers={"X-API-KEY": "k3y"})
        assert "r8_secret" not in answer.text
        assert "k3y" not in answer.text
        info = answer.json()
    providers = {provider["name"]: provider for provider in info["providers"]}
    assert providers["replicate"]["usable"]
    assert (providers["cog"]["usable"], providers["builtin"]["stays_on_this_machine"]) == (False, True)
    assert providers["cog"]["reason"]
    assert info["chains"]["restore_faces"] == ["replicate", "builtin"]
    assert info["chains"]["cartoonify"] == ["replicate", "builtin"]
    assert info["chains"]["generate_text"] == []
    assert {"model": "GFPGAN", "seconds": "3-5", "usd": 0.002} in info["references"]


async def test_the_front_door_leads_people_to_the_dashboard_and_programs_to_links(client: Client) -> None:
    browser = await client.http.get("/", headers={"accept": "text/html,*/*"})
    assert (browser.status_code, browser.headers["location"]) == (307, "/dashboard/")
    program = (await client.http.get("/")).json()
    assert (program["service"], program["version"]) == ("relume", __version__)


async def test_the_dashboard_is_served_under_a_strict_policy(client: Client) -> None:
    page = await client.http.get("/dashboard", follow_redirects=True)
    assert page.status_code == 200
    assert "default-src 'self'" in page.headers["content-security-policy"]
    assert "unsafe" not in page.headers["content-security-policy"]
    problem(await client.http.get("/dashboard/../settings.py"), 404, "not_found")
    problem(await client.http.get("/dashboard/..%2fsettings.py"), 404, "not_found")


async def test_cors_only_for_configured_origins(start: Start) -> None:
    asked = {"Origin": "https://app.example", "Access-Control-Request-Method": "POST"}
    async with start(cors_origins="https://app.example") as client:
        allowed = await client.http.options("/v1/restore", headers=asked)
        assert allowed.headers["access-control-allow-origin"] == "https://app.example"
        other = await client.http.options("/v1/restore", headers=asked | {"Origin": "https://evil.example"})
        assert "access-control-allow-origin" not in other.headers
    async with start() as client:
        assert "access-control-allow-origin" not in (await client.http.get("/health", headers=asked)).headers


async def test_every_endpoint_documents_its_errors(client: Client) -> None:
    schema = (await client.http.get("/openapi.json")).json()
    assert schema["openapi"].startswith("3.1")
    restore = schema["paths"]["/v1/restore"]["post"]
    assert {"201", "400", "401", "403", "413", "415", "429", "500", "503"} <= set(restore["responses"])
    assert restore["parameters"][0]["name"] == "Idempotency-Key"
    with_422 = {
        path for path, item in schema["paths"].items() for one in item.values() if "422" in one["responses"]
    }
    of_a_job = ("/api/v1/jobs/{job_id}/render", "/api/v1/jobs/{job_id}/retry")
    below = ("/api/v1/estimate", "/api/v1/generate", "/api/v1/jobs", *of_a_job)
    assert with_422 == set(below), "bad input is 400 everywhere else"
    assert "image" in restore["requestBody"]["content"]["multipart/form-data"]["schema"]["properties"]


async def test_a_key_that_was_given_out_opens_the_service_as_the_setting_does(start: Start) -> None:
    async with start() as client:
        given = await client.services.keys.create("archive", is_operator=False)
        problem(await client.http.get("/v1/models"), 401, "key_missing")
        problem(await client.http.get("/v1/models", headers={"X-API-KEY": "guess"}), 403, "key_wrong")
        assert (await client.http.get("/v1/models", headers={"X-API-KEY": given})).status_code == 200
        assert (await client.http.get("/health")).status_code == 200


async def test_the_key_of_the_settings_and_given_ones_work_side_by_side(start: Start) -> None:
    async with start(api_key="k3y") as client:
        given = await client.services.keys.create("archive", is_operator=False)
        for key in ("k3y", given):
            assert (await client.http.get("/v1/models", headers={"X-API-KEY": key})).status_code == 200
