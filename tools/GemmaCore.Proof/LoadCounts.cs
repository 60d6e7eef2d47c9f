using System.Collections.Concurrent;
using Microsoft.Extensions.Logging;

namespace GemmaCore.Proof;

/// <summary>What became of the requests, and what the server's log says of its own failures.</summary>
internal sealed class LoadCounts : ILoggerProvider, ILogger
{
    public long Left, Refused, StillSound, Busy;

    /// <summary>Answered as alone, by kind.</summary>
    public ConcurrentDictionary<string, long> Right { get; } = new(StringComparer.Ordinal);

    public ConcurrentBag<string> Wrong { get; } = [];

    public ConcurrentBag<string> Unhandled { get; } = [];

    public void Print()
    {
        Console.WriteLine("| requests | |\n|---|---:|");
        foreach ((string kind, long count) in Right.OrderByDescending(counted => counted.Value)) Console.WriteLine($"| {kind}: as alone | {count} |");
        Console.WriteLine($"| answered otherwise | {Wrong.Count} |\n| clients that left | {Left} |\n| damaged, refused with 4xx | {Refused} |");
        Console.WriteLine($"| damaged, but still a request | {StillSound} |\n| refused with 429 | {Busy} |\n| unhandled errors | {Unhandled.Count} |");
        foreach (string problem in Wrong.Take(3).Concat(Unhandled.Take(3))) Console.WriteLine($"\n{problem}");
    }

    public ILogger CreateLogger(string categoryName) => this;

    public IDisposable? BeginScope<TState>(TState state) where TState : notnull => null;

    public bool IsEnabled(LogLevel logLevel) => logLevel >= LogLevel.Error;

    public void Log<TState>(LogLevel logLevel, EventId eventId, TState state, Exception? exception, Func<TState, Exception?, string> formatter)
    {
        if (IsEnabled(logLevel)) Unhandled.Add($"log: {formatter(state, exception)} {exception}");
    }

    public void Dispose()
    {
    }
}
