using System.Diagnostics;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using GemmaCore.Testing;

namespace GemmaCore.Proof;

/// <summary>When, of which commit and on what machine a table was printed.</summary>
internal static class Circumstances
{
    public static void Print(string command) =>
        Console.WriteLine($"Printed by `{command}` on {DateTime.UtcNow:yyyy-MM-dd HH:mm} UTC, commit {Commit()}, {Cpu()}, {Environment.ProcessorCount} threads, "
            + $"{InstructionSet()}, {RuntimeInformation.FrameworkDescription}.\n");

    // What the switches DOTNET_EnableAVX512=0, DOTNET_EnableAVX2=0 and DOTNET_EnableHWIntrinsic=0 leave.
    private static string InstructionSet() => Avx512F.IsSupported ? "AVX-512" : Avx2.IsSupported ? "AVX2" : "neither AVX-512 nor AVX2";

    private static string Cpu()
    {
        const string path = "/proc/cpuinfo";
        string? line = File.Exists(path) ? File.ReadLines(path).FirstOrDefault(text => text.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line is null ? RuntimeInformation.ProcessArchitecture.ToString() : line[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim();
    }

    private static string Commit()
    {
        string commit = Git("rev-parse", "--short", "HEAD");
        return Git("status", "--porcelain").Length == 0 ? commit : commit + " with changes";
    }

    private static string Git(params string[] arguments)
    {
        var start = new ProcessStartInfo("git", arguments) { WorkingDirectory = Goldens.RepositoryPath(""), RedirectStandardOutput = true };
        using Process git = Process.Start(start)!;
        string output = git.StandardOutput.ReadToEnd().Trim();
        git.WaitForExit();
        return output;
    }
}
