using System.Diagnostics;
using System.Reflection;
using System.Runtime.Intrinsics.X86;

namespace GemmaCore.Testing;

/// <summary>Reruns tests of an assembly in a child process that lacks an instruction set, so that each fallback stays alive on a machine that never takes it.</summary>
public static class InstructionSets
{
    /// <summary>The variable that leaves vectors of 256 bits.</summary>
    public const string Avx512 = "DOTNET_EnableAVX512";

    private static readonly TimeSpan Limit = TimeSpan.FromMinutes(4);

    /// <summary>
    /// The variables that .NET reads, of what this processor has: without AVX-512 the parent is the run without it. Each switches off what builds on it, too.
    /// </summary>
    public static IEnumerable<string> Switches
    {
        get
        {
            if (Avx512F.IsSupported) yield return Avx512;
            if (Avx2.IsSupported) yield return "DOTNET_EnableAVX2";
            yield return "DOTNET_EnableHWIntrinsic";
        }
    }

    /// <summary>Runs the tests that a filter of xunit's command line names, with a switch at 0.</summary>
    /// <returns>Everything the child printed, when all of its tests passed and there was at least one.</returns>
    /// <exception cref="InvalidOperationException">A test failed, none ran, or the child took too long; the message is what it printed.</exception>
    public static async Task<string> RunWithout(string instructionSet, Assembly tests, IEnumerable<string> filter, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(tests);
        var start = new ProcessStartInfo("dotnet", [tests.Location, .. filter, "-noColor"]) { RedirectStandardOutput = true, RedirectStandardError = true };
        start.Environment[instructionSet] = "0";
        // The fallbacks are the CPU's: tests on cards skip themselves where there is no simulator. The parity table has the parent's figures.
        start.Environment["GEMMACORE_CUDASIM"] = "none";
        start.Environment["GEMMACORE_TEST_GPU"] = "0";
        start.Environment.Remove("GEMMACORE_PARITY_LOG");

        using Process child = Process.Start(start)!;
        using var limit = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        limit.CancelAfter(Limit);
        Task<string> output = child.StandardOutput.ReadToEndAsync(cancellation), errors = child.StandardError.ReadToEndAsync(cancellation);
        try
        {
            await child.WaitForExitAsync(limit.Token);
        }
        finally
        {
            if (!child.HasExited) child.Kill(entireProcessTree: true);
        }

        string report = $"{instructionSet}=0: exit code {child.ExitCode}\n{await output}\n{await errors}";
        // A filter that matches nothing would also end well.
        bool ran = report.Contains("Total: ", StringComparison.Ordinal) && !report.Contains("Total: 0", StringComparison.Ordinal);
        return child.ExitCode == 0 && ran ? report : throw new InvalidOperationException(report);
    }
}
