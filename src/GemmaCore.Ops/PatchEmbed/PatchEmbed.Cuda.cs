using GemmaCore.Cuda;
using GemmaCore.Tensors;

namespace GemmaCore.Ops;

public static partial class PatchEmbed
{
    private const int Threads = 128;

    private static readonly CudaKernel GatherKernel = new("patch_embed.cu", "patch_embed_gather");

    // A block for each patch.
    private static void GatherPatchesCuda(CudaDevice cuda, TensorView pixels, int patch, TensorView columns) =>
        cuda.Launch(GatherKernel, new LaunchGrid(columns.Shape[0], Threads), pixels, columns, pixels.Shape[1], pixels.Shape[2], patch);
}
