using System.Collections.Concurrent;
using System.Diagnostics;
using GemmaCore.Inputs;
using GemmaCore.Models.Lora;

namespace GemmaCore.Generation;

/// <summary>No room in the queue; trying again later helps.</summary>
public sealed class QueueFullException : Exception
{
    internal QueueFullException(long tokens, long limit)
        : base($"the queue is full: {tokens} tokens wait, and {limit} are allowed to; try again later")
    {
    }
}

/// <summary>The loop takes no more requests: it is shutting down, or the device has failed.</summary>
public sealed class LoopClosedException : Exception
{
    internal LoopClosedException(string message, Exception? inner) : base(message, inner)
    {
    }
}

/// <summary>A look at a <see cref="RequestLoop"/>.</summary>
/// <param name="Running">Sequences under way.</param>
/// <param name="Waiting">Requests in the queue, and those that had to step back.</param>
/// <param name="WaitingTokens">Tokens these may take.</param>
/// <param name="CacheBytes">Bytes of keys and values held by who is under way.</param>
/// <param name="Steps">Steps so far.</param>
/// <param name="StepSeconds">Time that they took, all together.</param>
/// <param name="PrefixBytes">Bytes of keys and values kept for prompts to come.</param>
/// <param name="PrefixQueries">Tokens of all prompts so far.</param>
/// <param name="PrefixHits">Tokens of them whose keys and values were there.</param>
/// <param name="PassSeconds">Part of <paramref name="StepSeconds"/> that was spent in the model; the rest is the scheduler's.</param>
/// <param name="AnswerTokens">Tokens of all answers so far, those under way included.</param>
/// <param name="Preemptions">How often a sequence under way had to give back its keys and values, to compute them again later.</param>
public sealed record LoopStatus(
    int Running, int Waiting, long WaitingTokens, long CacheBytes, long Steps, double StepSeconds, long PrefixBytes = 0, long PrefixQueries = 0, long PrefixHits = 0,
    double PassSeconds = 0, long AnswerTokens = 0, long Preemptions = 0);

/// <summary>
/// Answers requests from any thread with one model, many at a time: a <see cref="BatchScheduler"/> on a thread of its own. It has the model to itself until it
/// is disposed.
/// </summary>
public sealed class RequestLoop : IDisposable
{
    private readonly GemmaModel _model;
    private readonly BatchLimits _limits;
    private readonly Action<int>? _onStep;
    private readonly long _maxWaitingTokens;
    private readonly BatchScheduler _scheduler;
    private readonly IDisposable _turn;
    private readonly ConcurrentQueue<Action> _inbox = new();
    private readonly ConcurrentDictionary<Sequence, PendingAnswer> _pending = new();
    private readonly SemaphoreSlim _wake = new(0);
    private readonly TaskCompletionSource _idle = new(TaskCreationOptions.RunContinuationsAsynchronously);
    private readonly Thread _thread;
    private readonly CancellationTokenSource _abandon = new();
    private long _inboxTokens, _inboxCount, _steps, _stepTicks;
    private bool _disposed;
    private volatile bool _draining;
    private volatile Exception? _fault;
    private volatile LoopStatus _status = new(0, 0, 0, 0, 0, 0);

    /// <summary>Starts a loop; waits until nobody else uses the model.</summary>
    /// <param name="model">The model.</param>
    /// <param name="limits">What may be under way at a time; without a limit of keys and values, a quarter of the device's memory is set aside for them.</param>
    /// <param name="maxWaitingTokens">Tokens, prompt and answer, that requests in the queue may take together; one request is taken in any case.</param>
    /// <param name="onStep">Called after each step, on the loop's thread, with the tokens that it put through the model; null for nobody.</param>
    /// <exception cref="OutOfMemoryException">There is no memory for keys and values; a card says so with an exception of its own.</exception>
    public RequestLoop(GemmaModel model, BatchLimits limits, long maxWaitingTokens, Action<int>? onStep = null)
    {
        ArgumentNullException.ThrowIfNull(model);
        ArgumentNullException.ThrowIfNull(limits);
        // A quarter: weights are mapped files on the CPU, and passes need room too.
        if (limits.MaxCacheBytes == long.MaxValue) limits = limits with { MaxCacheBytes = model.Model.Device.AvailableBytes / 4 };
        (_model, _limits, _maxWaitingTokens, _onStep) = (model, limits, maxWaitingTokens, onStep);
        _turn = model.TakeTurn();
        try
        {
            _scheduler = new BatchScheduler(model.Model, model.Prompts.Tokenizer, [.. model.Defaults.StopIds], limits, OnEnd);
        }
        catch
        {
            _turn.Dispose();
            throw;
        }

        _thread = new Thread(Run) { IsBackground = true, Name = "gemmacore-requests" };
        _thread.Start();
    }

    /// <summary>Where it stands; a few steps old at most.</summary>
    public LoopStatus Status => _status with
    {
        Waiting = _status.Waiting + (int)Interlocked.Read(ref _inboxCount),
        WaitingTokens = _status.WaitingTokens + Interlocked.Read(ref _inboxTokens),
    };

    /// <summary>What may be under way.</summary>
    public BatchLimits Limits => _limits;

    /// <summary>Pages of keys and values that were set aside, of <see cref="Models.KvLayout.PageRows"/> tokens each.</summary>
    public int CachePages => _scheduler.CachePages;

    /// <summary>Completes when the loop has ended: after a drain, or with a <see cref="Fault"/>.</summary>
    public Task Completion => _idle.Task;

    /// <summary>Why the loop stopped by itself; null while it is sound.</summary>
    public Exception? Fault => _fault;

    /// <summary>True when no more requests are taken.</summary>
    public bool IsClosing => _draining;

    /// <summary>Hands in a request.</summary>
    /// <param name="request">What to answer.</param>
    /// <param name="cancellation">Ends the answer before the next step.</param>
    /// <exception cref="InputException">The request could never be answered.</exception>
    /// <exception cref="ArgumentOutOfRangeException">A parameter makes no sense.</exception>
    /// <exception cref="QueueFullException">Too much is waiting.</exception>
    /// <exception cref="LoopClosedException">The loop is ending.</exception>
    public PendingAnswer Submit(GenerationRequest request, CancellationToken cancellation) => Submit([request], cancellation)[0];

    /// <summary>Hands in several requests, all of them or none.</summary>
    /// <exception cref="InputException">See <see cref="Submit(GenerationRequest, CancellationToken)"/>, as for the others.</exception>
    public IReadOnlyList<PendingAnswer> Submit(IReadOnlyList<GenerationRequest> requests, CancellationToken cancellation)
    {
        ArgumentNullException.ThrowIfNull(requests);
        foreach (GenerationRequest request in requests) Admission.Check(request, _model.Model, _limits);
        PromptChunks[] chunks = [.. requests.Select(_scheduler.Cut)];
        long tokens = requests.Sum(request => request.TokenCount);
        lock (_inbox)
        {
            if (_fault is { } fault) throw new LoopClosedException("the model has stopped after a failure", fault);
            if (_draining) throw new LoopClosedException("shutting down", null);
            LoopStatus status = Status;
            if (status.Waiting > 0 && status.WaitingTokens + tokens > _maxWaitingTokens) throw new QueueFullException(status.WaitingTokens, _maxWaitingTokens);
            Interlocked.Add(ref _inboxTokens, tokens);
            Interlocked.Add(ref _inboxCount, requests.Count);
            PendingAnswer[] answers = [.. requests.Select(request => new PendingAnswer(request))];
            _inbox.Enqueue(() =>
            {
                for (int i = 0; i < answers.Length; i++) Begin(answers[i], chunks[i], cancellation);
            });
            _wake.Release();
            return answers;
        }
    }

    /// <summary>Runs something between two steps, when nobody else uses the model: loading an adapter, for example.</summary>
    /// <exception cref="LoopClosedException">The loop has ended.</exception>
    public Task<T> BetweenSteps<T>(Func<T> action)
    {
        ArgumentNullException.ThrowIfNull(action);
        var done = new TaskCompletionSource<T>(TaskCreationOptions.RunContinuationsAsynchronously);
        lock (_inbox)
        {
            if (_fault is not null || _draining) throw new LoopClosedException("shutting down", _fault);
            _inbox.Enqueue(() =>
            {
                try
                {
                    done.SetResult(action());
                }
                catch (Exception error) // belongs to whoever asked
                {
                    done.SetException(error);
                }
            });
            _wake.Release();
        }

        return done.Task;
    }

    /// <summary>True when a request waits or is under way with this adapter; to be asked <see cref="BetweenSteps"/>.</summary>
    public bool Uses(LoraAdapter adapter) => _scheduler.Uses(adapter);

    /// <summary>Gives up what an adapter has computed of prompts; to be called <see cref="BetweenSteps"/>, before the adapter goes.</summary>
    public void Forget(LoraAdapter adapter) => _scheduler.Forget(adapter);

    /// <summary>Takes no more requests and ends when all are answered; those that are not in time are cancelled.</summary>
    public async Task DrainAsync(TimeSpan timeout)
    {
        lock (_inbox) _draining = true;
        _wake.Release();
        if (await Task.WhenAny(_idle.Task, Task.Delay(timeout)).ConfigureAwait(false) != _idle.Task) await _abandon.CancelAsync().ConfigureAwait(false);
        _wake.Release();
        await _idle.Task.ConfigureAwait(false);
    }

    /// <summary>Cancels everything and ends.</summary>
    public void Dispose()
    {
        if (Interlocked.Exchange(ref _disposed, true)) return;
        lock (_inbox) _draining = true;
        _abandon.Cancel();
        _wake.Release();
        _thread.Join();
        _scheduler.Dispose();
        _turn.Dispose();
        _wake.Dispose();
        _abandon.Dispose();
    }

    private void Run()
    {
        try
        {
            while (true)
            {
                while (_inbox.TryDequeue(out Action? action)) action();
                if (_abandon.IsCancellationRequested) break;
                long start = Stopwatch.GetTimestamp();
                bool worked = _scheduler.Step();
                if (worked)
                {
                    _steps++;
                    _stepTicks += Stopwatch.GetTimestamp() - start;
                }

                Publish();
                if (worked)
                {
                    _onStep?.Invoke(_scheduler.StepTokens);
                    continue;
                }

                lock (_inbox)
                    if (_draining && _inbox.IsEmpty && _scheduler.WaitingCount == 0) break;
                _wake.Wait();
            }

            End(null);
        }
        catch (Exception error) // a device that failed: nothing computed from here on would be an answer
        {
            lock (_inbox) _fault = error;
            End(error);
        }
    }

    private void End(Exception? error)
    {
        while (_inbox.TryDequeue(out Action? action)) action();
        _scheduler.Abandon(error is null ? null : new LoopClosedException("the model has stopped after a failure", error));
        Publish();
        _idle.TrySetResult();
    }

    private void Begin(PendingAnswer answer, PromptChunks chunks, CancellationToken cancellation)
    {
        Interlocked.Add(ref _inboxTokens, -answer.Request.TokenCount);
        Interlocked.Decrement(ref _inboxCount);
        try
        {
            Sequence sequence = _scheduler.Add(answer.Request, chunks, answer.Write, cancellation);
            answer.Begin(sequence);
            _pending[sequence] = answer;
        }
        catch (Exception error) when (error is InputException or ArgumentException)
        {
            answer.Fail(error);
        }

        Publish();
    }

    private void OnEnd(Sequence sequence)
    {
        Publish(); // before anyone can ask
        if (_pending.TryRemove(sequence, out PendingAnswer? answer)) answer.End(sequence);
    }

    private void Publish() => _status = new LoopStatus(
        _scheduler.RunningCount, _scheduler.WaitingCount, _scheduler.WaitingTokens, _scheduler.CacheBytes, _steps, _stepTicks / (double)Stopwatch.Frequency,
        _scheduler.PrefixBytes, _scheduler.PrefixQueries, _scheduler.PrefixHits, _scheduler.PassTicks / (double)Stopwatch.Frequency, _scheduler.AnswerTokens, _scheduler.Preemptions);
}
