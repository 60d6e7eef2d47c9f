using Microsoft.Extensions.DependencyInjection;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Server.Observability;

/// <summary>What is logged: requests by id, never what they say.</summary>
internal static partial class ServerLog
{
    /// <summary>The server's own log.</summary>
    public static ILogger From(IServiceProvider services) => services.GetRequiredService<ILoggerFactory>().CreateLogger("GemmaCore.Server");

    [LoggerMessage(1, LogLevel.Information, "{Method} {Path} {Status} {Milliseconds} ms {RequestId}")]
    public static partial void Answered(ILogger logger, string method, string path, int status, long milliseconds, string requestId);

    [LoggerMessage(2, LogLevel.Error, "{RequestId} failed")]
    public static partial void Failed(ILogger logger, Exception error, string requestId);

    [LoggerMessage(3, LogLevel.Critical, "the model has failed; no more requests are answered")]
    public static partial void ModelFailed(ILogger logger, Exception error);

    [LoggerMessage(4, LogLevel.Warning, "{RequestId} refused: {Detail}")]
    public static partial void Refused(ILogger logger, string requestId, string detail);
}
