using System.Globalization;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using GemmaCore.Testing;

namespace GemmaCore.Cli.Tests;

/// <summary>What goes wrong around a card, as a user meets it: exit code and one line on stderr with call, code and remedy.</summary>
public sealed class CudaBadInputTests : IDisposable
{
    private const string Nowhere = "/nowhere/library.so", AnotherLibrary = "libc.so.6";
    private const string Colon = "demo/data/validation-public/Endoscopy/phantom_colon/imagesVal/phantom_colon_0000.jpg";

    private static readonly string[] Generate = ["generate", "demo", "--prompt", "Hello", "--max-tokens", "2", "--temperature", "0", "--device"];

    private readonly TemporaryFolder _folder = new();

    private string Cache => _folder.File("cache");

    public void Dispose() => _folder.Dispose();

    [Theory]
    [InlineData("GEMMACORE_CUDA_LIBRARY=" + Nowhere, "no NVIDIA driver was found", Nowhere, "install the GPU's driver", "--device cpu")]
    [InlineData("GEMMACORE_CUDA_LIBRARY=/etc/passwd", "GEMMACORE_CUDA_LIBRARY=/etc/passwd is there but cannot be loaded", "--device cpu")]
    [InlineData("GEMMACORE_NVRTC_LIBRARY=/etc/passwd", "GEMMACORE_NVRTC_LIBRARY=/etc/passwd is there but cannot be loaded", "nvidia-cuda-nvrtc-cu12")]
    [InlineData("GEMMACORE_CUDA_LIBRARY=" + AnotherLibrary, "has no cuInit", "11.2", "update the driver")]
    [InlineData("GEMMACORE_CUDASIM_DRIVER=11010", "supports CUDA 11.1", "11.2 or newer is needed", "update the driver")]
    [InlineData("GEMMACORE_CUDASIM_FAIL=1:999", "cuInit: CUDA_ERROR_UNKNOWN (999)", "reinstall the driver")]
    [InlineData("GEMMACORE_CUDASIM_FAIL=1:100", "sees no GPU", "--device cpu")]
    [InlineData("GEMMACORE_NVRTC_LIBRARY=" + Nowhere, "NVRTC", Nowhere, "nvidia-cuda-nvrtc-cu12", "GEMMACORE_NVRTC_LIBRARY")]
    [InlineData("GEMMACORE_NVRTC_LIBRARY=" + AnotherLibrary, "NVRTC", "has no nvrtcVersion", "nvidia-cuda-nvrtc-cu12")]
    [InlineData("GEMMACORE_CUDASIM_NVRTC=11.1", "NVRTC 11.1", "11.2 or newer is needed", "nvidia-cuda-nvrtc-cu12")]
    [InlineData("GEMMACORE_CUDASIM_MEMORY=3000000", "the weights take", "MB free", "would fit", "another card")]
    public void A_machine_that_cannot_do_it_is_told_what_is_missing(string circumstance, params string[] words) =>
        AssertOneLine(SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("a100", Cache, circumstance), [.. Generate, "cuda"]), 1, words);

    [Fact]
    public void What_is_said_to_fit_fits()
    {
        string[] Environ(long memory) => SimulatedCards.Environ("a100", Cache, FormattableString.Invariant($"GEMMACORE_CUDASIM_MEMORY={memory}"));
        string refusal = SimulatedCards.Run(_folder.Path, Environ(3_000_000), [.. Generate, "cuda"]).Expect(1).Error;
        Match said = Regex.Match(refusal, @"; (?:not even )?(--quantize .*) would fit \(([0-9.]+) MB\)");
        Assert.True(said.Success, refusal);
        long rounded = (long)(1e6 * (double.Parse(said.Groups[2].Value, CultureInfo.InvariantCulture) + 0.05));
        SimulatedCards.Run(_folder.Path, Environ(rounded), [.. Generate, "cuda", .. said.Groups[1].Value.Split(' '), "--image", Goldens.RepositoryPath(Colon)]).Expect(0);
    }

    [Theory]
    [InlineData("GEMMACORE_CUDA_LIBRARY=/etc/passwd", "GEMMACORE_CUDA_LIBRARY=/etc/passwd is there but cannot be loaded", "unset it")]
    [InlineData("GEMMACORE_CUDASIM_DRIVER=11010", "supports CUDA 11.1", "update the driver")]
    [InlineData("GEMMACORE_CUDASIM_FAIL=1:999", "CUDA_ERROR_UNKNOWN", "reinstall the driver")]
    [InlineData("GEMMACORE_NVRTC_LIBRARY=" + Nowhere, "NVRTC, which compiles the kernels, was not found", "nvidia-cuda-nvrtc-cu12")]
    public void Auto_then_means_the_CPU_and_says_why(string circumstance, params string[] words)
    {
        string[] variables = SimulatedCards.Environ("a100", Cache, circumstance);
        Finished finished = SimulatedCards.Run(_folder.Path, variables, [.. Generate, "auto"]), onCpu = SimulatedCards.Run(_folder.Path, variables, [.. Generate, "cpu"]).Expect(0);
        finished.ExpectLine(0, ["--device auto means the CPU here: ", .. words]);
        Assert.Equal((onCpu.Output, ""), (finished.Output, onCpu.Error));
    }

    [Fact]
    public void Auto_means_the_CPU_without_a_word_where_there_is_no_driver() =>
        Assert.Equal("", SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("a100", Cache, "GEMMACORE_CUDA_LIBRARY=" + Nowhere), [.. Generate, "auto"]).Expect(0).Error);

    [Theory]
    [InlineData(2, "cuda", "--arch", "77", "--arch 77 is unknown; choose 75, 80, 86, 89 or 90")]
    [InlineData(1, "cuda:1", "--arch", "80", "--arch 80 is above the card's own: cuda:1 (Tesla T4) is sm_75")]
    [InlineData(1, "cuda:2", "--dtype", "auto", "there is no cuda:2; this machine has cuda:0 (NVIDIA A100-SXM4-80GB), cuda:1 (Tesla T4)")]
    [InlineData(1, "cuda:1", "--dtype", "bf16", "computes in fp16 for sm_75, not in bf16; use auto, fp16 or fp32")]
    public void What_the_card_cannot_do_is_refused(int exitCode, string device, string option, string value, string complaint) =>
        AssertOneLine(SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("a100,t4", Cache), [.. Generate, device, option, value]), exitCode, complaint);

    [Theory]
    [InlineData("11.2", "compute_86")] // PTX that the driver translates
    [InlineData("11.8", "sm_90")] // which knows the card, but not its warpgroups
    public void A_compiler_older_than_the_card_or_than_its_instructions_gives_the_same_answer(string version, string target)
    {
        string older = "GEMMACORE_CUDASIM_NVRTC=" + version;
        Assert.Equal(Answer("h200"), Answer("h200", older));
        string doctor = SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("h200", Cache, older), "doctor").Expect(0).Output;
        Assert.Contains($"compiled for {target} at first use", doctor, StringComparison.Ordinal);
        Assert.DoesNotContain("matmul_warpgroup", doctor, StringComparison.Ordinal);
    }

    [Fact]
    public void A_cache_that_cannot_be_written_costs_one_line()
    {
        Finished finished = SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("a100", "/proc/kernels"), [.. Generate, "cuda"]).Expect(0);
        Assert.StartsWith("kernel cache /proc/kernels: ", finished.Error, StringComparison.Ordinal);
        Assert.DoesNotContain('\n', finished.Error);
        Assert.Equal(Answer("a100"), finished.Output);
    }

    [Fact]
    public void A_file_where_the_cache_should_be_is_named_as_what_it_is()
    {
        File.WriteAllText(Cache, "");
        string[] variables = SimulatedCards.Environ("a100", Cache);
        Assert.Contains($"not writable ({Cache} is a file where a folder should be)", SimulatedCards.Run(_folder.Path, variables, "doctor").Expect(0).Output, StringComparison.Ordinal);
        SimulatedCards.Run(_folder.Path, variables, [.. Generate, "cuda"]).ExpectLine(0, $"{Cache} is a file where a folder should be; kernels are compiled anew");
    }

    [Fact]
    public void Damaged_entries_of_the_cache_are_made_again()
    {
        string answer = Answer("a100");
        string[] entries = Directory.GetFiles(Cache, "*.bin");
        Assert.NotEmpty(entries);
        byte[][] whole = [.. entries.Select(File.ReadAllBytes)];
        for (int i = 0; i < entries.Length; i++) File.WriteAllBytes(entries[i], Damaged(whole[i], i % 3));
        Assert.Equal(answer, Answer("a100"));
        Assert.All(entries.Zip(whole), entry => Assert.Equal(entry.Second, File.ReadAllBytes(entry.First)));
    }

    [Fact]
    public void Two_processes_may_fill_the_cache_at_once()
    {
        string[] variables = SimulatedCards.Environ("a100", Cache);
        using GemmacoreProcess first = SimulatedCards.Start(_folder.Path, variables, [.. Generate, "cuda"]), second = SimulatedCards.Start(_folder.Path, variables, [.. Generate, "cuda"]);
        Finished one = first.WaitForEnd().Expect(0), other = second.WaitForEnd().Expect(0);
        Assert.Equal(("", ""), (one.Error, other.Error));
        Assert.Equal(one.Output, other.Output);
        Assert.DoesNotContain(Directory.GetFiles(Cache), file => !file.EndsWith(".bin", StringComparison.Ordinal));
        Assert.Equal(one.Output, Answer("a100"));
    }

    [Fact]
    public void A_card_lost_in_a_step_leaves_the_last_checkpoint_whole_and_the_run_goes_on_from_it()
    {
        string whole = _folder.File("whole"), lost = _folder.File("lost");
        foreach (string run in (string[])[whole, lost])
        {
            Directory.CreateDirectory(run);
            ShortRun.WriteConfiguration(run);
        }

        string[] train = ["train", "run.yaml", "max_steps=3", "--device", "cuda"], variables = SimulatedCards.Environ("a100", Cache);
        SimulatedCards.Run(whole, variables, train).Expect(0);
        // Any call between the first step's end and the last step: each step is more than a thousand.
        Finished failed = SimulatedCards.Run(lost, [.. variables, "GEMMACORE_CUDASIM_FAIL=3000:719"], train).Expect(1);
        string last = failed.Error.Split('\n')[^1];
        foreach (string word in (string[])["CUDA_ERROR_LAUNCH_FAILED (719)", "cuda:0", "--resume"]) Assert.Contains(word, last, StringComparison.Ordinal);
        string[] checkpoints = Directory.GetDirectories(Path.Combine(lost, "out"));
        Assert.NotEmpty(checkpoints);
        Assert.All(checkpoints, checkpoint => Assert.Equal("{", File.ReadAllText(Path.Combine(checkpoint, "trainer_state.json"))[..1]));
        Assert.False(File.Exists(Path.Combine(lost, "out", "adapter_model.safetensors")));
        SimulatedCards.Run(lost, variables, [.. train, "--resume"]).Expect(0);
        foreach (string name in (string[])["adapter_model.safetensors", "train.jsonl", "trainer_state.json"])
            Assert.True(File.ReadAllBytes(Path.Combine(whole, "out", name)).AsSpan().SequenceEqual(File.ReadAllBytes(Path.Combine(lost, "out", name))), $"{name} differs");
    }

    [Theory]
    [InlineData("gtx1650", "T0", "fp32", "attention, matmul")]
    [InlineData("t4", "T1", "fp16", "matmul_mma")]
    [InlineData("a100", "T2", "bf16", "sm_80")]
    [InlineData("h200,t4", "T3", "bf16", "matmul_warpgroup")]
    public void The_doctor_describes_every_card(string cards, string tier, string path, string kernels)
    {
        string[] variables = SimulatedCards.Environ(cards, Cache);
        JsonArray report = JsonNode.Parse(SimulatedCards.Run(_folder.Path, variables, "doctor", "--json").Expect(0).Output)!["cuda"]!["cards"]!.AsArray();
        Assert.Equal(cards.Split(',').Length, report.Count);
        Assert.StartsWith(tier, report[0]!["tier"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.StartsWith(path, report[0]!["path"]!.GetValue<string>(), StringComparison.Ordinal);
        Assert.Contains(kernels, report[0]!["kernels"]!.GetValue<string>(), StringComparison.Ordinal);
        string text = SimulatedCards.Run(_folder.Path, variables, "doctor").Expect(0).Output;
        foreach (string fact in (string[])[tier, path, kernels, "usable, auto means cuda:0", SimulatedCards.Library, "writable"]) Assert.Contains(fact, text, StringComparison.Ordinal);
        Assert.False(Directory.Exists(Cache));
    }

    [Fact]
    public void The_doctor_says_where_it_looked_and_what_to_install()
    {
        string[] variables = SimulatedCards.Environ("a100", Cache, "GEMMACORE_NVRTC_LIBRARY=" + Nowhere);
        string text = SimulatedCards.Run(_folder.Path, variables, "doctor").Expect(0).Output;
        foreach (string fact in (string[])["auto means the CPU", Nowhere, "nvidia-cuda-nvrtc-cu12", "A100", "nothing to compile them with"])
            Assert.Contains(fact, text, StringComparison.Ordinal);
        text = SimulatedCards.Run(_folder.Path, SimulatedCards.Environ("a100", "/proc/kernels", "GEMMACORE_CUDA_LIBRARY=" + Nowhere), "doctor").Expect(0).Output;
        foreach (string fact in (string[])["no NVIDIA driver was found", Nowhere, "install the GPU's driver", "not writable"]) Assert.Contains(fact, text, StringComparison.Ordinal);
    }

    private string Answer(string card, params string[] more)
    {
        Finished finished = SimulatedCards.Run(_folder.Path, SimulatedCards.Environ(card, Cache, more), [.. Generate, "cuda"]).Expect(0);
        Assert.Equal("", finished.Error);
        return finished.Output;
    }

    private static byte[] Damaged(byte[] entry, int way) => way switch
    {
        0 => entry[..(entry.Length / 2)],
        1 => [.. entry[..^1], (byte)~entry[^1]],
        _ => [],
    };

    private static void AssertOneLine(Finished finished, int exitCode, params string[] words)
    {
        finished.Expect(exitCode);
        // The simulator says on stderr as well what it refuses.
        string[] lines = [.. finished.Error.Split('\n').Where(line => !line.StartsWith("cudasim: ", StringComparison.Ordinal))];
        string line = Assert.Single(lines);
        Assert.StartsWith("gemmacore: ", line, StringComparison.Ordinal);
        foreach (string word in words) Assert.Contains(word, line, StringComparison.Ordinal);
    }
}
