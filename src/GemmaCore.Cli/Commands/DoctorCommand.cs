using System.CommandLine;
using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;
using System.Text.Json.Nodes;
using GemmaCore.Checkpoints;

namespace GemmaCore.Cli.Commands;

/// <summary><c>gemmacore doctor</c>: what this machine has and what GemmaCore will use of it.</summary>
internal static class DoctorCommand
{
    public static Command Create()
    {
        var command = new Command("doctor", """
            Show what this machine has and what GemmaCore would use.

            Examples:
              gemmacore doctor
              gemmacore doctor --json
            """);
        var json = new Option<bool>("--json") { Description = "print one JSON document" };
        command.Add(json);
        command.SetAction(parsed =>
        {
            JsonObject report = Examine();
            if (parsed.GetValue(json)) Console.WriteLine(report.ToJsonString());
            else Print(report);
            return 0;
        });
        return command;
    }

    private static JsonObject Examine() => new()
    {
        ["version"] = typeof(DoctorCommand).Assembly.GetName().Version!.ToString(3),
        ["runtime"] = RuntimeInformation.FrameworkDescription,
        ["system"] = $"{RuntimeInformation.OSDescription} {RuntimeInformation.ProcessArchitecture}",
        ["cpu"] = CpuName(),
        ["cores"] = Environment.ProcessorCount,
        ["simd"] = new JsonArray([.. Features().Select(name => (JsonNode)name)]),
        ["cpu_path"] = Avx512F.IsSupported ? "avx512" : Avx2.IsSupported && Fma.IsSupported ? "avx2" : "portable",
        ["precision"] = "fp32 arithmetic on weights in their stored type",
        ["memory_gib"] = Math.Round(GC.GetGCMemoryInfo().TotalAvailableMemoryBytes / (double)(1L << 30), 1),
        ["cuda"] = CudaReport.Examine(),
        ["hub_cache"] = EnvironmentVariables.HubCache + (Directory.Exists(EnvironmentVariables.HubCache) ? "" : " (does not exist yet)"),
        ["hub_login"] = HubLogin(),
        ["environment"] = new JsonObject(EnvironmentVariables.Names
            .Where(name => Environment.GetEnvironmentVariable(name) is not null)
            .Select(name => KeyValuePair.Create(name, (JsonNode?)Environment.GetEnvironmentVariable(name)))),
    };

    // A diagnosis does not fail on what it finds.
    private static string HubLogin()
    {
        try
        {
            return EnvironmentVariables.Hub().TokenSource is { } source ? $"token from {source}" : "no token: neither HF_TOKEN nor a token file";
        }
        catch (CheckpointException error)
        {
            return error.Message;
        }
    }

    private static IEnumerable<string> Features()
    {
        if (Avx2.IsSupported) yield return "avx2";
        if (Fma.IsSupported) yield return "fma";
        if (Avx512F.IsSupported) yield return "avx512f";
        if (Avx512BW.IsSupported) yield return "avx512bw";
        if (Avx512DQ.IsSupported) yield return "avx512dq";
        if (Avx512Vbmi.IsSupported) yield return "avx512vbmi";
        if (AvxVnni.IsSupported) yield return "avxvnni";
    }

    // Linux names the processor in /proc; elsewhere the architecture has to do.
    private static string CpuName()
    {
        const string file = "/proc/cpuinfo";
        string? line = File.Exists(file) ? File.ReadLines(file).FirstOrDefault(text => text.StartsWith("model name", StringComparison.Ordinal)) : null;
        return line?[(line.IndexOf(':', StringComparison.Ordinal) + 1)..].Trim() ?? RuntimeInformation.ProcessArchitecture.ToString();
    }

    private static string Show(JsonNode? value) => value switch
    {
        JsonArray list => string.Join(' ', list.Select(item => item!.ToString())),
        JsonObject map => map.Count == 0 ? "none of ours set" : string.Join(' ', map.Select(item => $"{item.Key}={item.Value}")),
        _ => value?.ToString() ?? "",
    };

    // One line per fact.
    private static void Print(JsonObject report)
    {
        foreach ((string name, JsonNode? value) in report)
        {
            if (name != "cuda")
            {
                LabelledLine.Write(name, Show(value));
                continue;
            }

            foreach ((string fact, string text) in CudaReport.Lines(value!.AsObject())) LabelledLine.Write(fact, text);
        }
    }
}
