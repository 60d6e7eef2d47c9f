using GemmaCore.Checkpoints.Hub;

namespace GemmaCore.Cli;

/// <summary>Every environment variable the program reads: its own for diagnosis, the hub's as the Python tools read them. Shown by <c>gemmacore doctor</c>.</summary>
internal static class EnvironmentVariables
{
    // HF_TOKEN and HF_TOKEN_PATH are read too, but never shown.
    public static readonly string[] Names =
        [
            "GEMMACORE_TRACE", "GEMMACORE_THREADS", "GEMMACORE_CUDA_LIBRARY", "GEMMACORE_NVRTC_LIBRARY", "GEMMACORE_KERNEL_CACHE", "CUDA_PATH", "VIRTUAL_ENV", "CONDA_PREFIX", "NO_COLOR", "HF_HOME", "HF_HUB_CACHE", "XDG_CACHE_HOME", "HF_ENDPOINT", "HF_HUB_OFFLINE",
        ];

    /// <summary>Let unexpected exceptions end the program with their stack.</summary>
    public static bool Trace => Environment.GetEnvironmentVariable("GEMMACORE_TRACE") == "1";

    /// <summary>No colours and no moving lines.</summary>
    public static bool NoColor => Environment.GetEnvironmentVariable("NO_COLOR") is { Length: > 0 };

    /// <summary>Threads to compute on; 0 for one per processor.</summary>
    public static int Threads => int.TryParse(Environment.GetEnvironmentVariable("GEMMACORE_THREADS"), out int count) && count > 0 ? count : 0;

    /// <summary>Where the hub's own tools keep what they downloaded.</summary>
    public static string HubCache => HubSettings.FindCache(Environment.GetEnvironmentVariable);

    /// <summary>Everything about the hub; the token may come from a flag instead.</summary>
    public static HubSettings Hub(string? token = null) => HubSettings.FromEnvironment(Environment.GetEnvironmentVariable, token);
}
