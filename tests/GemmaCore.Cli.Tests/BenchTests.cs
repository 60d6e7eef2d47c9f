using System.Globalization;
using System.Text.Json.Nodes;

namespace GemmaCore.Cli.Tests;

/// <summary>What <c>bench</c> prints and writes; never how fast.</summary>
public sealed class BenchTests : IDisposable
{
    private readonly TemporaryFolder _folder = new();

    public void Dispose() => _folder.Dispose();

    [Fact]
    public void An_operation_is_one_JSON_object_a_case_and_one_CSV_row()
    {
        Finished finished = Run("add", "--smoke", "--json", "--out", "figures.csv").Expect(0);
        JsonObject[] lines = [.. finished.Output.Split('\n', StringSplitOptions.RemoveEmptyEntries).Select(line => JsonNode.Parse(line)!.AsObject())];
        Assert.Equal("", finished.Error);
        Assert.Equal(["library", "machine", "device", "gigabytes_per_second", "gigaflops_per_second"], lines[0].Select(field => field.Key));
        JsonObject figures = Assert.Single(lines[1..]);
        Assert.Equal(["library", "operation", "shape", "min_us", "median_us", "max_us", "gbs", "gbs_share", "gflops", "gflops_share"], figures.Select(field => field.Key));
        Assert.Equal("T 3, D 40", figures["shape"]!.GetValue<string>());
        double median = figures["median_us"]!.GetValue<double>();
        // Two rows of x are read and one is written, 4 bytes each: the rate is that of the operation's cost, not of somebody's list.
        Assert.Equal(12.0 * 3 * 40 / median / 1e3, figures["gbs"]!.GetValue<double>(), 1e-9);
        Assert.Equal(3 * 40 / median / 1e3, figures["gflops"]!.GetValue<double>(), 1e-9);
        Assert.Equal(figures["gbs"]!.GetValue<double>() / lines[0]["gigabytes_per_second"]!.GetValue<double>(), figures["gbs_share"]!.GetValue<double>(), 1e-9);

        string[] csv = File.ReadAllLines(_folder.File("figures.csv"));
        Assert.Equal("machine,operation,shape,unit,min,median,max,gb_per_s,bandwidth_share,gflop_per_s,arithmetic_share", csv[0]);
        string row = Assert.Single(csv[1..]);
        Assert.Contains(" 1 threads\",\"add forward, [T, D]\",\"T 3, D 40\",us,", row, StringComparison.Ordinal);
        string[] numbers = row.Split(",us,")[1].Split(',');
        Assert.Equal(7, numbers.Length);
        Assert.All(numbers, number => Assert.True(double.Parse(number, CultureInfo.InvariantCulture) > 0, row));
    }

    [Fact]
    public void A_model_is_timed_in_its_format_and_leaves_nothing_behind()
    {
        string temporary = _folder.File("tmp");
        Directory.CreateDirectory(temporary);
        using GemmacoreProcess process = GemmacoreProcess.StartWith(["TMPDIR=" + temporary], "bench", "tiny:nf4", "--smoke", "--device", "cpu");
        string output = process.WaitForEnd().Expect(0).Output;
        foreach (string what in (string[])["| tiny, nf4 weights |", "| prefill 24, tokens/s |", "| decode at 24, tokens/s |", "| LoRA step 16, ms |"]) Assert.Contains(what, output, StringComparison.Ordinal);
        Assert.DoesNotContain(Directory.EnumerateFileSystemEntries(temporary), entry => Path.GetFileName(entry).StartsWith("gemmacore", StringComparison.Ordinal));
    }

    [Fact]
    public void Ctrl_C_ends_after_the_case_and_keeps_what_was_measured()
    {
        using GemmacoreProcess process = GemmacoreProcess.StartInterruptible(_folder.Path, "bench", "rope", "attention", "matmul", "--out", "figures.csv");
        while (!File.Exists(_folder.File("figures.csv")) || File.ReadAllLines(_folder.File("figures.csv")).Length < 2) Thread.Sleep(20); // rope is done
        process.Interrupt();
        Assert.EndsWith("gemmacore: cancelled", process.WaitForEnd().Expect(1).Error, StringComparison.Ordinal);
        string[] csv = File.ReadAllLines(_folder.File("figures.csv"));
        Assert.Contains(csv, row => row.Contains("\"rope forward", StringComparison.Ordinal));
        Assert.DoesNotContain(csv, row => row.Contains("\"matmul backward", StringComparison.Ordinal));
    }

    [Theory]
    [InlineData("there is no operation or model 'matmull'; operations: matmul, matmul_nf4,", "matmull")]
    [InlineData("there is no operation or model 'mini:nf5'", "mini:nf5")]
    [InlineData("did you mean '--smoke'?", "--smok")]
    [InlineData("--threads: expected 1 or more", "add", "--threads", "0")]
    [InlineData("--device gpu: expected auto, cpu or cuda[:N]", "add", "--device", "gpu")]
    public void What_cannot_be_timed_is_refused_in_one_line(string complaint, params string[] arguments)
    {
        Finished finished = Run(arguments).Expect(2);
        Assert.Contains(complaint, Assert.Single(finished.Error.Split('\n')), StringComparison.Ordinal);
        Assert.Equal("", finished.Output);
    }

    [Fact]
    public void A_file_that_cannot_be_written_is_told_before_the_work()
    {
        Directory.CreateDirectory(_folder.File("figures.csv"));
        Finished finished = Run("add", "--smoke", "--json", "--out", "figures.csv").Expect(1);
        Assert.Contains("figures.csv: could not be written", finished.Error, StringComparison.Ordinal);
        Assert.DoesNotContain("shape", finished.Output, StringComparison.Ordinal);
    }

    private Finished Run(params string[] arguments) => GemmacoreProcess.RunIn(_folder.Path, ["bench", .. arguments]);
}
