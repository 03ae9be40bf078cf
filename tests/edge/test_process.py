"""What one process can do for an operator, asked of a gateway that runs."""

import asyncio

from gateway.edge.admin import AdminRequest
from tests.fakes.gateway import open_test_gateway


async def test_a_reload_by_the_process_puts_new_tenants_on_the_desk() -> None:
    async with open_test_gateway() as gateway:
        process = gateway.gateway.process
        tenants = gateway.policies / "tenants.yaml"
        await asyncio.to_thread(tenants.write_text, "tenants: {newcomer: {}}")
        process.reload_soon()
        async with asyncio.timeout(10):
            while b"newcomer" not in (await process.desk.tenants(AdminRequest())).body:
                await asyncio.sleep(0.01)
        assert (await process.reload())["changed"] is False
        assert b"turnout_config_ok 1.0" in await process.metrics()
        assert process.readiness is gateway.gateway.readiness
