namespace GemmaCore.Checkpoints.Hub;

/// <summary>A failure that may pass: a busy server, a cut or silent connection.</summary>
internal sealed class HubInterruption(string message, TimeSpan? retryAfter = null, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>The wait that the server asks for, or null.</summary>
    public TimeSpan? RetryAfter => retryAfter;
}

/// <summary>Counts failures in a row and waits longer after each.</summary>
internal sealed class HubRetry(HubSettings settings, Action<string> note)
{
    private static readonly TimeSpan LongestWait = TimeSpan.FromMinutes(5);

    private int _failureCount;

    /// <summary>Something was gained; the next failure is a first one again.</summary>
    public void Reset() => _failureCount = 0;

    /// <summary>Waits before the next attempt.</summary>
    /// <exception cref="CheckpointException">There were enough attempts.</exception>
    public async Task WaitAsync(HubInterruption interruption, CancellationToken cancellation)
    {
        if (++_failureCount >= settings.AttemptCount)
            throw new CheckpointException($"{interruption.Message}; gave up after {_failureCount} attempts, what has come is kept: run the same command again", interruption);
        TimeSpan wait = interruption.RetryAfter ?? settings.FirstRetryDelay * Math.Pow(2, _failureCount - 1);
        if (wait > LongestWait) wait = LongestWait;
        note($"{interruption.Message}; trying again in {wait.TotalSeconds:0.#} s");
        await Task.Delay(wait, cancellation).ConfigureAwait(false);
    }
}
