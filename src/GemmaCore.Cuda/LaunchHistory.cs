using System.Text;

namespace GemmaCore.Cuda;

/// <summary>
/// The last launches of a stream. The driver reports what a kernel did wrong at some later call, so an error says which launches it may come from.
/// </summary>
internal sealed class LaunchHistory
{
    private const int Kept = 8;

    private readonly (CudaKernel? Kernel, LaunchGrid Grid)[] _ring = new (CudaKernel?, LaunchGrid)[Kept];
    private int _next;

    public void Add(CudaKernel kernel, LaunchGrid grid) => _ring[_next++ % Kept] = (kernel, grid);

    /// <summary>Everything before has finished without an error.</summary>
    public void Clear()
    {
        Array.Clear(_ring);
        _next = 0;
    }

    /// <summary>Newest first; empty when nothing was launched.</summary>
    public string Describe()
    {
        var text = new StringBuilder();
        for (int i = 1; i <= Math.Min(Kept, _next); i++)
        {
            (CudaKernel? kernel, LaunchGrid grid) = _ring[(_next - i) % Kept];
            text.Append(text.Length == 0 ? "; launched before, newest first: " : ", ").Append(kernel).Append(" [").Append(grid).Append(']');
        }

        return text.ToString();
    }
}
