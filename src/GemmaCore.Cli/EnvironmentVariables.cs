namespace GemmaCore.Cli;

/// <summary>Every environment variable the program reads. For diagnosis only; shown by <c>gemmacore doctor</c>.</summary>
internal static class EnvironmentVariables
{
    public static readonly string[] Names = ["GEMMACORE_TRACE", "GEMMACORE_THREADS", "NO_COLOR", "HF_HOME", "HF_HUB_CACHE"];

    /// <summary>Let unexpected exceptions end the program with their stack.</summary>
    public static bool Trace => Environment.GetEnvironmentVariable("GEMMACORE_TRACE") == "1";

    /// <summary>Threads to compute on; 0 for one per processor.</summary>
    public static int Threads => int.TryParse(Environment.GetEnvironmentVariable("GEMMACORE_THREADS"), out int count) && count > 0 ? count : 0;

    /// <summary>Where the hub's own tools keep what they downloaded.</summary>
    public static string HubCache
    {
        get
        {
            if (Environment.GetEnvironmentVariable("HF_HUB_CACHE") is { Length: > 0 } cache) return cache;
            string home = Environment.GetEnvironmentVariable("HF_HOME") is { Length: > 0 } configured
                ? configured
                : Path.Combine(Environment.GetFolderPath(Environment.SpecialFolder.UserProfile), ".cache", "huggingface");
            return Path.Combine(home, "hub");
        }
    }
}
