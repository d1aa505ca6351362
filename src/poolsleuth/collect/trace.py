"""The trace of one to four pool tags with call stacks, by xperf or by wpr.

Syntax: "start", "stackwalk" and "Xperf options" (Windows Performance Toolkit), "WPR command-line options", and
"SystemProvider", "PoolTags" and "PoolTag" (WPR profile schema), whose example has wildcards in tags. The kernel's
circular file keeps the newest part. A trace of all tags is never proposed: minutes of it fill gigabytes.
"""

from poolsleuth.collect.request import Request, tag_filter

PROFILE = "pool-tag.wprp"
PROFILE_NAME = "PoolTag"
_EVENTS = "PoolAlloc+PoolFree+PoolAllocSession+PoolFreeSession"
_STACKS = ("PoolAllocation", "PoolFree", "PoolAllocationSession", "PoolFreeSession")
BUFFERS = 64  # of a megabyte each: they are nonpaged pool, which this machine may be short of


def filters(request: Request) -> tuple[str, ...]:
    """The filters of the tags, each once."""
    return tuple(dict.fromkeys(tag_filter(tag) for tag in request.tags))


def blurred(request: Request) -> bool:
    """Whether a filter lets other tags through as well."""
    return any("?" in text for text in filters(request))


def kernel_file(request: Request) -> str:
    """The file that the kernel writes while the trace runs; the stop command makes the real trace of it."""
    return rf"{request.folder}\kernel.etl"


def xperf_start(request: Request) -> str:
    """The command that starts the trace with xperf."""
    return (
        f"xperf -on PROC_THREAD+LOADER+POOL -stackwalk {_EVENTS} -PoolTag {'+'.join(filters(request))} "
        f'-BufferSize 1024 -MinBuffers 16 -MaxBuffers {BUFFERS} -f "{kernel_file(request)}" '
        f"-MaxFile {request.max_mb} -FileMode Circular"
    )


def xperf_stop(request: Request) -> str:
    """The command that ends it and writes the trace."""
    return f'xperf -stop -d "{request.trace_file}"'


def wpr_start(folder: str) -> str:
    """The command that starts the trace with wpr; ``folder`` is where the profile lies, with its last backslash."""
    return f'wpr -start "{folder}{PROFILE}!{PROFILE_NAME}"'


def wpr_stop(request: Request) -> str:
    """The command that ends it and writes the trace."""
    return f'wpr -stop "{request.trace_file}"'


def wpr_profile(request: Request) -> str:
    """The profile for wpr: pool events of these tags with stacks, in a ring of buffers in memory."""
    stacks = "\n".join(f'        <Stack Value="{stack}"/>' for stack in _STACKS)
    tags = "\n".join(f'        <PoolTag Value="{text}"/>' for text in filters(request))
    return f"""<?xml version="1.0" encoding="utf-8"?>
<WindowsPerformanceRecorder Version="1.0" Author="poolsleuth">
  <Profiles>
    <SystemCollector Id="PoolCollector" Name="NT Kernel Logger">
      <BufferSize Value="1024"/>
      <Buffers Value="{BUFFERS}"/>
    </SystemCollector>
    <SystemProvider Id="PoolProvider">
      <Keywords>
        <Keyword Value="ProcessThread"/>
        <Keyword Value="Loader"/>
        <Keyword Value="Pool"/>
      </Keywords>
      <Stacks>
{stacks}
      </Stacks>
      <PoolTags>
{tags}
      </PoolTags>
    </SystemProvider>
    <Profile Id="{PROFILE_NAME}.Verbose.Memory" Name="{PROFILE_NAME}" Description="Pool allocations of chosen tags"
        LoggingMode="Memory" DetailLevel="Verbose">
      <Collectors>
        <SystemCollectorId Value="PoolCollector">
          <SystemProviderId Value="PoolProvider"/>
        </SystemCollectorId>
      </Collectors>
    </Profile>
  </Profiles>
</WindowsPerformanceRecorder>
"""
