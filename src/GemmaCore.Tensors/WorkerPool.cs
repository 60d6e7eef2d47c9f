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
    // A waiting worker spins this often (some tens of microseconds: the gap between two operations) before it sleeps.
    private const int SpinLimit = 4000;

    private readonly Thread[] _threads;
    private readonly SemaphoreSlim _wake = new(0);
    private readonly Lock _runLock = new();
    private delegate*<void*, int, void> _invoke;
    private void* _work;
    private int _partCount;
    private int _nextPart;
    private int _running;
    private int _sleeping;
    private volatile int _generation;
    private volatile bool _stop;
    private volatile Exception? _failure;

    /// <summary>A pool that computes on <paramref name="threadCount"/> threads, the caller's among them.</summary>
    public WorkerPool(int threadCount)
    {
        ArgumentOutOfRangeException.ThrowIfLessThan(threadCount, 1);
        ThreadCount = threadCount;
        _threads = new Thread[threadCount - 1];
        for (int i = 0; i < _threads.Length; i++)
        {
            _threads[i] = new Thread(Loop) { IsBackground = true, Name = $"gemmacore-worker-{i + 1}" };
            _threads[i].Start();
        }
    }

    /// <summary>Threads that work, the caller's included.</summary>
    public int ThreadCount { get; }

    /// <summary>Runs parts 0..<paramref name="partCount"/>-1 of <paramref name="work"/> and returns when all are done.</summary>
    /// <remarks>Allocates nothing. Concurrent callers take turns. An exception in a part is rethrown here after all parts have ended.</remarks>
    public void Run<TWork>(ref TWork work, int partCount) where TWork : struct, IWork
    {
        if (partCount <= 0) return;
        if (partCount == 1 || _threads.Length == 0)
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
            Volatile.Write(ref _running, _threads.Length);
            Volatile.Write(ref _nextPart, 0);
            Interlocked.Increment(ref _generation);
            int sleeping = Volatile.Read(ref _sleeping);
            if (sleeping > 0) _wake.Release(sleeping);
            TakeParts();
            var spin = new SpinWait();
            while (Volatile.Read(ref _running) > 0) spin.SpinOnce(sleep1Threshold: -1);
        }

        if (_failure is { } failure) throw new AggregateException(failure.Message, failure);
    }

    /// <inheritdoc/>
    public void Dispose()
    {
        if (_stop) return;
        _stop = true;
        Interlocked.Increment(ref _generation);
        _wake.Release(_threads.Length + 1);
        foreach (Thread thread in _threads) thread.Join();
        _wake.Dispose();
    }

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

    private void Loop()
    {
        int seen = 0;
        while (true)
        {
            for (int spin = 0; _generation == seen && spin < SpinLimit; spin++) Thread.SpinWait(8);
            if (_generation == seen)
            {
                Interlocked.Increment(ref _sleeping);
                // A generation published between the check and the increment is seen here; a surplus permit only costs a spurious wake-up.
                while (_generation == seen) _wake.Wait();
                Interlocked.Decrement(ref _sleeping);
            }

            if (_stop) return;
            seen = _generation;
            TakeParts();
            Interlocked.Decrement(ref _running);
        }
    }
}
