using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

/// <summary>What <c>quantize</c> writes, what it refuses, and what the demo says to do with a quantised base.</summary>
public sealed class QuantizeTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    [Fact]
    public void Plain_magnitudes_are_written_and_answer_as_they_do_when_quantised_at_load()
    {
        Run("quantize", "demo", "--kind", "nf4-plain", "--out", "plain").Expect(0);
        JsonNode settings = JsonNode.Parse(File.ReadAllText(_folder.File("plain/config.json")))!["quantization_config"]!;
        Assert.False(settings["bnb_4bit_use_double_quant"]!.GetValue<bool>());
        string[] question = ["--prompt", "Hello", "--temperature", "0", "--max-tokens", "12"];
        string atLoad = Run(["generate", "demo", "--quantize", "nf4-plain", .. question]).Expect(0).Output;
        foreach (string same in (string[])["none", "nf4-plain", "nf4"])
            Assert.Equal(atLoad, Run(["generate", "plain", "--quantize", same, .. question]).Expect(0).Output);
    }

    [Fact]
    public void A_quantised_folder_is_refused_before_anything_is_said_of_its_layers()
    {
        Run("quantize", "demo", "--kind", "nf4", "--out", "once").Expect(0);
        foreach (string kind in (string[])["nf4", "int8"])
            Run("quantize", "once", "--kind", kind, "--out", "twice").ExpectLine(1, "is quantised already, in nf4", "name the original model");
        Assert.False(Directory.Exists(_folder.File("twice")));
    }

    [Fact]
    public void The_demo_says_to_try_its_adapter_on_the_base_it_was_trained_on()
    {
        string[] said = Run("demo", "--smoke", "--quantize", "nf4-plain", "--quantize-head", "int8", "--out", "out").Expect(0).Output.Split('\n');
        foreach (string verb in (string[])["generate", "chat"])
            Assert.Contains(said, line => line.StartsWith($"  gemmacore {verb} demo --adapter out --quantize nf4-plain --quantize-head int8", StringComparison.Ordinal));
        JsonNode trained = JsonNode.Parse(File.ReadAllText(_folder.File("out/run.json")))!["configuration"]!;
        Assert.Equal((true, "int8"), (trained["load_in_4bit"]!.GetValue<bool>(), trained["quantize_head"]!.GetValue<string>()));
        Run("demo", "--smoke", "--quantize", "int8-128", "--out", "grouped").ExpectLine(2, "--quantize int8-128", "nf4, nf4-plain or int8");
    }

    public void Dispose() => _folder.Dispose();

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, arguments);
}
