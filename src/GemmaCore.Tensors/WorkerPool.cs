using System.Runtime.CompilerServices;

namespace GemmaCore.Tensors;

/// <summary>One indexed piece of work. Implement it as a struct of pointers and sizes: the pool never boxes or copies it.</summary>
public interface IWork
{
    /// <summary>Does part <paramref name="index"/>. Parts run in any order, on any thread, and must not write to the same memory.</summary>
    void Execute(int index);
}

/// <summary>
/// A fixed set of threads that share out the parts of one operation at a time. The caller works too and returns when all parts are
/// done. What a part computes must depend only on its index, never on the thread count: this is what makes results reproducible.
/// </summary>
public sealed unsafe class WorkerPool : IDisposable
{
    // A waiting worker spins this often (about a millisecond: longer than the gap between two operations) before it sleeps.
    private const int SpinLimit = 4000;

    // After so many spins it lets other threads have the core between them: on a busy machine its waiting would be at their cost.
    private const int SpinsBeforeYield = 64;

    private const long Open = 1 << 16, Inside = Open - 1;
    private const int GenerationShift = 17;

    private readonly Worker[] _workers;
    private readonly int _spinLimit;
    private readonly Lock _runLock = new();
    private delegate*<void*, int, void> _invoke;
    private void* _work;
    private int _partCount;
    private int _nextPart;
    private long _state; // generation << GenerationShift | open | workers inside
    private volatile bool _stop;
    private volatile Exception? _failure;

    /// <summary>A pool that computes on <paramref name="threadCount"/> threads, the caller's among them.</summary>
    public WorkerPool(int threadCount) : this(threadCount, SpinLimit) { }

    /// <summary>A pool whose workers fall asleep earlier or later: tests meet the change from spinning to sleep more often.</summary>
    internal WorkerPool(int threadCount, int spinLimit)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threadCount, 1);
        ThreadCount = threadCount;
        _spinLimit = spinLimit;
        _workers = new Worker[threadCount - 1];
        for (int i = 0; i < _workers.Length; i++)
        {
            var worker = new Worker();
            worker.Thread = new Thread(() => Loop(worker)) { IsBackground = true, Name = $"gemmacore-worker-{i + 1}" };
            _workers[i] = worker;
            worker.Thread.Start();
        }
    }

    private WorkerPool()
    {
        (ThreadCount, _workers, IsIdle) = (1, [], true);
    }

    /// <summary>A pool that takes work and does none of it.</summary>
    internal static WorkerPool Idle() => new();

    /// <summary>True when work is left undone.</summary>
    internal bool IsIdle { get; }

    /// <summary>Threads that work, the caller's included.</summary>
    public int ThreadCount { get; }

    /// <summary>Runs parts 0..<paramref name="partCount"/>-1 of <paramref name="work"/> and returns when all are done.</summary>
    /// <remarks>Allocates nothing. Concurrent callers take turns. An exception in a part is rethrown here after all parts have ended.</remarks>
    public void Run<TWork>(ref TWork work, int partCount) where TWork : struct, IWork
    {
        if (partCount <= 0 || IsIdle) return;
        if (partCount == 1 || _workers.Length == 0)
        {
            for (int i = 0; i < partCount; i++) work.Execute(i);
            return;
        }

        lock (_runLock)
        {
            // The struct lives in the caller's frame, which outlasts this call, so a raw pointer to it is safe.
            _work = Unsafe.AsPointer(ref work);
            _invoke = &Invoke<TWork>;
            _partCount = partCount;
            _failure = null;
            Volatile.Write(ref _nextPart, 0);
            Announce(Open);
            TakeParts();
            // No part is left: whoever has not come by now need not come. On a machine with other work a worker may be long in coming.
            Interlocked.And(ref _state, ~Open);
            var spin = new SpinWait();
            while ((Volatile.Read(ref _state) & Inside) > 0) spin.SpinOnce(sleep1Threshold: -1);
        }

        if (_failure is { } failure) throw new AggregateException(failure.Message, failure);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop) return;
        _stop = true;
        Announce(0);
        foreach (Worker worker in _workers)
        {
            worker.Thread!.Join();
            worker.Dispose();
        }
    }

    private long Generation => Volatile.Read(ref _state) >> GenerationShift;

    private static void Invoke<TWork>(void* work, int index) where TWork : struct, IWork => Unsafe.AsRef<TWork>(work).Execute(index);

    private void TakeParts()
    {
        int count = _partCount;
        try
        {
            for (int i = Interlocked.Increment(ref _nextPart) - 1; i < count; i = Interlocked.Increment(ref _nextPart) - 1)
                _invoke(_work, i);
        }
        catch (Exception failure)
        {
            // The part's exception belongs to the caller of Run; the remaining parts are abandoned.
            _failure = failure;
            Volatile.Write(ref _nextPart, count);
        }
    }

    // Every worker has a flag and a semaphore of its own: with a shared one, a quick worker could take a slow one's permit.
    private void Announce(long open)
    {
        // Nobody is inside, and nobody can enter what is closed.
        Interlocked.Exchange(ref _state, (Generation + 1) << GenerationShift | open);
        foreach (Worker worker in _workers)
            if (Interlocked.Exchange(ref worker.Asleep, 0) == 1) worker.Wake.Release();
    }

    private void Loop(Worker self)
    {
        long seen = 0;
        while (true)
        {
            for (int spin = 0; Generation == seen && spin < _spinLimit; spin++)
            {
                Thread.SpinWait(8);
                if (spin >= SpinsBeforeYield) Thread.Yield();
            }

            if (Generation == seen)
            {
                Interlocked.Exchange(ref self.Asleep, 1);
                // Work announced meanwhile: take the flag back, or, if the announcer has it already, take the permit it is about to give.
                bool withdrawn = Generation != seen && Interlocked.Exchange(ref self.Asleep, 0) == 1;
                if (!withdrawn) self.Wake.Wait();
            }

            if (_stop) return;
            long state = Volatile.Read(ref _state);
            seen = state >> GenerationShift;
            if (!TryEnter(state)) continue;
            TakeParts();
            Interlocked.Decrement(ref _state);
        }
    }

    // False when the work was closed before we came; the caller of Run waits for those inside only.
    private bool TryEnter(long state)
    {
        long generation = state >> GenerationShift;
        while ((state & Open) != 0 && state >> GenerationShift == generation)
        {
            long found = Interlocked.CompareExchange(ref _state, state + 1, state);
            if (found == state) return true;
            state = found;
        }

        return false;
    }

    private sealed class Worker : IDisposable
    {
        public readonly SemaphoreSlim Wake = new(0);
        public Thread? Thread;
        public int Asleep;

        public void Dispose() => Wake.Dispose();
    }
}
