using System.Globalization;

namespace GemmaCore.Cuda;

/// <summary>Which card, and what its kernels are compiled for: the checks of what was asked, each with one line that says what would do.</summary>
internal static class CudaTarget
{
    /// <summary>Compute capabilities × 10 that kernels are written and tested for.</summary>
    public static readonly int[] Architectures = [75, 80, 86, 89, 90];

    /// <summary>The card with that ordinal.</summary>
    public static CudaCard Card(IReadOnlyList<CudaCard> cards, int ordinal)
    {
        if ((uint)ordinal >= (uint)cards.Count)
            throw new CudaException($"there is no cuda:{ordinal}; this machine has {string.Join(", ", cards.Select(found => $"cuda:{found.Ordinal} ({found.Name})"))}");
        CudaCard card = cards[ordinal];
        return card.Capability >= 75
            ? card
            : throw new CudaException(
                $"cuda:{ordinal} ({card.Name}) has compute capability {card.Capability / 10}.{card.Capability % 10}; 7.5 or newer is needed; use --device cpu");
    }

    /// <summary>Checks an architecture that was asked for.</summary>
    /// <param name="capability">The card's own.</param>
    /// <param name="asked">Compute capability × 10; 0 for the card's own.</param>
    /// <param name="card">The card, for messages.</param>
    public static int Architecture(int capability, int asked, string card)
    {
        if (asked == 0) return capability;
        if (!Architectures.Contains(asked)) throw new CudaException($"--arch {asked} is unknown; choose one of {string.Join(", ", Architectures)}");
        return asked <= capability ? asked : throw new CudaException($"--arch {asked} is above the card's own: {card} is sm_{capability}; choose that or a lower one");
    }

    /// <summary>What the compiler is asked for: machine code for exactly this card, else PTX, which the driver translates for any newer card.</summary>
    /// <param name="capability">The card's own.</param>
    /// <param name="architecture">At or below it.</param>
    /// <param name="newest">Newest architecture that the compiler knows.</param>
    /// <param name="knowsWarpgroups">Whether it knows the instructions that only Hopper has.</param>
    public static string Compiled(int capability, int architecture, int newest, bool knowsWarpgroups = true)
    {
        int target = Math.Min(architecture, newest);
        return target != capability ? $"compute_{target}" : knowsWarpgroups ? MachineCode(target) : $"sm_{target}";
    }

    /// <summary>Machine code for exactly this architecture: on Hopper with the instructions that no other has, which PTX for newer cards cannot use.</summary>
    public static string MachineCode(int architecture) => architecture == 90 ? "sm_90a" : $"sm_{architecture}";

    /// <summary>Whether kernels compiled so may multiply in warpgroups (wgmma).</summary>
    public static bool HasWarpgroups(string target) => target == "sm_90a";

    /// <summary>Of <c>sm_90a</c>, <c>compute_75</c> or <c>86</c> the compute capability × 10.</summary>
    public static int Number(string target) => int.Parse(target.AsSpan(target.IndexOf('_') + 1).TrimEnd('a'), CultureInfo.InvariantCulture);

    /// <summary>
    /// Of the architectures that machine code was built for beforehand, the one to use: it runs on its own major version from its minor version on. 0 for none.
    /// </summary>
    public static int Prebuilt(int capability, int architecture, IEnumerable<int> built) =>
        built.Where(one => one / 10 == capability / 10 && one <= architecture).DefaultIfEmpty(0).Max();
}
