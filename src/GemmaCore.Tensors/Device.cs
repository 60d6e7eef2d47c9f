namespace GemmaCore.Tensors;

/// <summary>
/// Where tensors live. A closed set (CPU and CUDA): operations branch on the concrete type once, in their contract file.
/// </summary>
public abstract class Device : IDisposable
{
    /// <summary>Short name for messages and reports, e.g. <c>cpu</c>.</summary>
    public abstract string Name { get; }

    /// <summary>Arithmetic of matrix products in a few words, for reports, e.g. <c>fp32</c>.</summary>
    public abstract string PrecisionPath { get; }

    /// <summary>
    /// True for a device that keeps account of memory and computes nothing: what runs on it allocates as it would for real, which makes a memory plan.
    /// </summary>
    public virtual bool IsRehearsal => false;

    /// <summary>A rehearsal (<see cref="IsRehearsal"/>) of this device: what runs there allocates what it would here. The caller disposes it.</summary>
    public abstract Device OpenRehearsal();

    /// <summary>Memory that a program may hope to get here.</summary>
    public abstract long AvailableBytes { get; }

    /// <summary>Bytes currently allocated on this device.</summary>
    public abstract long AllocatedBytes { get; }

    /// <summary>Largest value that <see cref="AllocatedBytes"/> has had.</summary>
    public abstract long PeakAllocatedBytes { get; }

    /// <summary>Allocates <paramref name="bytes"/> uninitialised bytes, aligned for the device's widest loads.</summary>
    /// <exception cref="OutOfMemoryException">The host cannot provide them; a card says so with an exception of its own.</exception>
    internal abstract nint Allocate(long bytes);

    /// <summary>Gives back what <see cref="Allocate"/> returned.</summary>
    internal abstract void Free(nint pointer, long bytes);

    /// <summary>Copies host bytes into device memory.</summary>
    public abstract void CopyFromHost(ReadOnlySpan<byte> source, TensorView destination);

    /// <summary>Copies device memory into host bytes, after all earlier work on it has finished.</summary>
    public abstract void CopyToHost(TensorView source, Span<byte> destination);

    /// <summary>Sets every byte of the view to zero.</summary>
    public abstract void Clear(TensorView view);

    /// <summary>Copies one view onto another of the same size on this device.</summary>
    public abstract void Copy(TensorView source, TensorView destination);

    /// <summary>
    /// Announces that the operations from here to the next read-back are probably those of the last time under <paramref name="key"/>, on the same memory
    /// with other contents. A hint: a card can then queue them at once (a CUDA graph); results do not depend on it.
    /// </summary>
    public virtual void BeginRepeatable(int key)
    {
    }

    /// <summary>Most bytes that temporaries of operations have taken since they were last released; 0 where operations keep none on the device.</summary>
    public virtual long PeakTemporaryBytes => 0;

    /// <summary>Takes memory for temporaries of operations in one piece, of what <see cref="PeakTemporaryBytes"/> was in a rehearsal; 0 gives it all back.</summary>
    public virtual void ReserveTemporaries(long bytes)
    {
    }

    /// <inheritdoc/>
    public abstract void Dispose();
}
