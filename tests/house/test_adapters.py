"""An adapter is one provider's language and knows no other adapter."""

import grimp

CHANNELS = "engine.messaging.channels"
SHARED = {"base", "foreign_json"}
WIRING = {"registry"}  # the literal table of all adapters


def strangers(modules: set[str], imports: set[tuple[str, str]]) -> list[str]:
    """Imports between modules of different adapters; `x` and `x_anything` are one adapter."""
    adapters = sorted(
        (name for name in modules if not any(name.startswith(f"{other}_") for other in modules)), key=len
    )

    def adapter_of(name: str) -> str:
        return next(
            (adapter for adapter in adapters if name == adapter or name.startswith(f"{adapter}_")), name
        )

    return [
        f"{importer} -> {imported}"
        for importer, imported in sorted(imports)
        if importer not in WIRING and imported not in SHARED and adapter_of(importer) != adapter_of(imported)
    ]


def test_no_channel_adapter_knows_another() -> None:
    graph = grimp.build_graph("engine", cache_dir=None)
    names = {module.rpartition(".")[2] for module in graph.find_children(CHANNELS)}
    imports = {
        (name, imported.removeprefix(f"{CHANNELS}."))
        for name in names
        for imported in graph.find_modules_directly_imported_by(f"{CHANNELS}.{name}")
        if imported.startswith(f"{CHANNELS}.")
    }

    assert names >= SHARED | WIRING
    assert strangers(names - SHARED - WIRING, imports) == []


def test_an_adapter_that_reaches_for_another_is_caught() -> None:
    modules = {"sms_twilio", "whatsapp_cloud", "whatsapp_cloud_errors"}
    planted = ("sms_twilio", "whatsapp_cloud_errors")
    lawful = ("whatsapp_cloud", "whatsapp_cloud_errors")

    assert strangers(modules, {planted, lawful}) == ["sms_twilio -> whatsapp_cloud_errors"]
