using System.Text.Json.Nodes;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

public sealed class AdapterSettingsTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData(null)]
    [InlineData("zeta")]
    public void Settings_that_nobody_knows_are_named_and_PEFTs_own_are_not(string? unknown)
    {
        string golden = Goldens.Path("adapters/qv_list_r4"), adapter = _folder.File("adapter");
        Directory.CreateDirectory(adapter);
        File.Copy(Path.Combine(golden, "adapter_model.safetensors"), Path.Combine(adapter, "adapter_model.safetensors"));
        JsonNode config = JsonNode.Parse(File.ReadAllText(Path.Combine(golden, "adapter_config.json")))!;
        if (unknown is not null) config[unknown] = 0.5;
        File.WriteAllText(Path.Combine(adapter, "adapter_config.json"), config.ToJsonString());
        string error = GemmacoreProcess.Run("generate", "demo", "--prompt", "Hello", "--max-tokens", "1", "--adapter", adapter).Expect(0).Error;
        Assert.Matches("applied ([0-9]+) of \\1 tensors", error);
        if (unknown is null) Assert.DoesNotContain("unknown to GemmaCore", error, StringComparison.Ordinal);
        else Assert.Contains("settings unknown to GemmaCore, which it ignores: zeta", error, StringComparison.Ordinal);
    }
}
