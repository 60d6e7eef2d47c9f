using System.Diagnostics;

namespace GemmaCore.Ops.Tests;

/// <summary>
/// Reruns every other test of this assembly in a child process with instruction sets switched off, so that each fallback stays alive
/// on a machine that never takes it. <see cref="InstructionSetProbe"/> runs in the children to prove that the variables bite.
/// </summary>
public sealed class InstructionSetTests
{
    private const int TimeoutMs = 240_000;

    [Theory]
    [InlineData("DOTNET_EnableAVX512")]
    [InlineData("DOTNET_EnableAVX2")]
    [InlineData("DOTNET_EnableHWIntrinsic")]
    public async Task Every_operation_passes_its_tests_without(string instructionSet)
    {
        var start = new ProcessStartInfo("dotnet")
        {
            RedirectStandardOutput = true, RedirectStandardError = true,
            ArgumentList = { typeof(InstructionSetTests).Assembly.Location, "-class-", typeof(InstructionSetTests).FullName!, "-noColor" },
        };
        start.Environment[instructionSet] = "0";
        // The fallbacks are the CPU's: tests on cards skip themselves where there is no simulator.
        start.Environment["GEMMACORE_CUDASIM"] = "none";
        start.Environment["GEMMACORE_TEST_GPU"] = "0";

        using Process child = Process.Start(start)!;
        Task<string> output = child.StandardOutput.ReadToEndAsync(TestContext.Current.CancellationToken);
        Task<string> errors = child.StandardError.ReadToEndAsync(TestContext.Current.CancellationToken);
        try
        {
            using var limit = CancellationTokenSource.CreateLinkedTokenSource(TestContext.Current.CancellationToken);
            limit.CancelAfter(TimeoutMs);
            await child.WaitForExitAsync(limit.Token);
        }
        finally
        {
            if (!child.HasExited) child.Kill(entireProcessTree: true);
        }

        string report = $"{instructionSet}=0: exit code {child.ExitCode}\n{await output}\n{await errors}";
        Assert.True(child.ExitCode == 0, report);
        // A filter that matches nothing would also end well.
        Assert.Contains("Total: ", report, StringComparison.Ordinal);
        Assert.DoesNotContain("Total: 0", report, StringComparison.Ordinal);
    }
}
